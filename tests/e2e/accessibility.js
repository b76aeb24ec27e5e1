// Run in the page: a list of what is wrong for a person who cannot see it, or not well. A small part of what axe looks at.
const wrong = [];
const seen = (node) => node.getClientRects().length > 0 && getComputedStyle(node).visibility !== "hidden";
const words = (node) => (node ? node.textContent.trim() : "");

function nameOf(node) {
  const by = node.getAttribute("aria-labelledby");
  if (by) return by.split(/\s+/).map((id) => words(document.getElementById(id))).join(" ").trim();
  return (node.getAttribute("aria-label") || [...(node.labels || [])].map(words).join(" ") || words(node)).trim();
}

if (!document.documentElement.lang) wrong.push("the document has no language");
if (!document.title.trim()) wrong.push("the document has no title");
for (const landmark of ["header", "main", "footer"])
  if (document.querySelectorAll(`body > ${landmark}`).length !== 1) wrong.push(`there is not one ${landmark}`);
if (document.querySelectorAll("h1").length !== 1) wrong.push("there is not one h1");

let level = 0;
for (const heading of [...document.querySelectorAll("h1, h2, h3, h4")].filter(seen)) {
  const now = Number(heading.tagName[1]);
  if (now > level + 1) wrong.push(`heading ${words(heading)} skips a level`);
  level = now;
}
for (const node of [...document.querySelectorAll("a, button, input, select, dialog, section, [role=img], [tabindex]")])
  if (!nameOf(node)) wrong.push(`${node.tagName} ${node.id} has no name`);
for (const node of document.querySelectorAll("[aria-labelledby]"))
  for (const id of node.getAttribute("aria-labelledby").split(/\s+/))
    if (!document.getElementById(id)) wrong.push(`${id} names a ${node.tagName}, and is not there`);
const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) wrong.push(`the id ${id} is there twice`);

const numbers = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
function behind(node) {
  for (let at = node; at; at = at.parentElement) {
    const [r, g, b, a = 1] = numbers(getComputedStyle(at).backgroundColor);
    if (a > 0.99) return [r, g, b];
  }
  return [255, 255, 255];
}
function luminance(rgb) {
  const [r, g, b] = rgb.slice(0, 3).map((part) => part / 255).map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const node = texts.currentNode.parentElement;
  if (!words(node) || !seen(node) || node.closest("svg, script, :disabled")) continue;
  const [light, dark] = [luminance(numbers(getComputedStyle(node).color)), luminance(behind(node))].sort((a, b) => b - a);
  const contrast = (light + 0.05) / (dark + 0.05);
  if (contrast < 4.5) wrong.push(`${words(node).slice(0, 40)}: its contrast is ${contrast.toFixed(1)}`);
}
return [...new Set(wrong)];
