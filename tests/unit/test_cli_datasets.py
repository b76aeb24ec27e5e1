"""``./baton datasets`` as a person meets it: what is printed, what is written, and the exit codes."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from apps import datasets
from apps.common.errors import BatonError
from stack.cli import datasets as commands
from stack.cli.commands import app

TRIMS = ("S", "SE", "SEL")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of datasets beside the one that ships."""
    place = tmp_path / "apps" / "datasets"
    place.mkdir(parents=True)
    monkeypatch.setattr(commands, "FOLDER", place)
    monkeypatch.setattr(datasets, "__path__", [*datasets.__path__, str(place)])
    yield place
    for name in [name for name in sys.modules if name.startswith("apps.datasets.my_")]:
        del sys.modules[name]


def write(path, start=0, price=lambda n: str(500 + n * 7919 % 9973)):
    """A file of 400 cars in which little is as it should be."""
    rows = [
        f"v{n},{n % 7 + 30}.{n % 9} in,{n % 90 + 1000:05d},{price(n)},{n % 11 + 1}/{n % 12 + 1}/2021,{TRIMS[n % 3]}"
        for n in range(start, start + 400)
    ]
    path.write_text("\n".join(["vin,legroom,zip,price,listed_on,trim", *rows]) + "\n")
    return path


def run(*words):
    """What a run prints, and how it ends."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["datasets", *map(str, words)])


def words(line):
    """What a shell makes of a line."""
    return subprocess.check_output(["sh", "-c", f"printf '%s\n' {line}"], text=True).splitlines()


def test_new_says_each_guess_with_its_reason_and_ends_with_the_next_command(folder, tmp_path):
    """Target, key, kinds, what to look at with the option that overrules it, what would be lost, and what to try."""
    file = write(tmp_path / "my cars.csv")
    done = run("new", file, "--target", "price")

    assert 0 == done.exit_code
    beginnings = (
        "my cars.csv  400 rows, 6 columns",
        "target    price: number",
        "key       vin (uniq",
        "kinds     number (1",
    )
    assert all(line.startswith(one) for line, one in zip(done.stdout.splitlines(), beginnings, strict=False))
    assert "zip        code, not a number: 400 cells begin with 0" in done.stdout
    assert "listed_on  a date, day or month first is unclear (all days <= 12) -> left out" in done.stdout
    assert "wrong? --date listed_on=dmy" in done.stdout
    assert f"./baton demo --dataset my_cars --source '{file}'" in done.stdout
    assert datasets.get("my_cars").key == ("vin",)


@pytest.mark.parametrize("name", ["cars(1).csv", "it's a.csv", "$cars;.csv"])
def test_the_lines_to_try_are_what_a_shell_takes(folder, tmp_path, name):
    """Whatever the file is called, each is one command on that file."""
    file = write(tmp_path / name)
    done = run("new", file, "--target", "price", "--name", "my_cars")
    check, demo = (line.split("./baton")[1] for line in done.stdout.splitlines() if "./baton" in line)

    assert ["datasets", "check", str(file), "--dataset", "my_cars"] == words(check)
    assert ["demo", "--dataset", "my_cars", "--source", str(file)] == words(demo)


def test_a_declaration_is_never_written_over_without_force(folder, tmp_path):
    """The edits of a person stay, and the message names both ways on."""
    file = write(tmp_path / "my_cars.csv")
    run("new", file, "--target", "price")
    (folder / "my_cars.py").write_text("# edited")
    done = run("new", file, "--target", "price")

    assert isinstance(done.exception, BatonError)
    assert "--name, or --force" in str(done.exception)
    assert "# edited" == (folder / "my_cars.py").read_text()
    assert 0 == run("new", file, "--target", "price", "--force").exit_code
    assert "DATASET" in (folder / "my_cars.py").read_text()


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize("name", ["source", "guessing", *sorted(datasets.SHIPPED)])
def test_no_part_of_baton_is_written_over(folder, tmp_path, name, force):
    """A dataset that is called as a module of Baton, or as one that ships, is refused, also with --force."""
    done = run("new", write(tmp_path / "my_cars.csv"), "--target", "price", "--name", name, *force)

    assert isinstance(done.exception, BatonError)
    assert f"--name must be free; got {name}, a part of Baton" in str(done.exception)
    assert [] == [*folder.iterdir()]


def test_check_says_what_the_declaration_makes_of_a_file(folder, tmp_path):
    """Accepted and quarantined rows, by rule, with examples; above the limit the exit code is 1."""
    run("new", write(tmp_path / "my_cars.csv"), "--target", "price")
    good = run("check", tmp_path / "my_cars.csv")
    few = run("check", write(tmp_path / "few.csv", price=lambda n: "free" if n < 20 else "900"), "--dataset", "my_cars")
    many = run("check", write(tmp_path / "many.csv", price=lambda _: "-1"), "--dataset", "my_cars")

    assert (0, "my_cars: 400 of 400 rows accepted, 0 quarantined\n") == (good.exit_code, good.stdout)
    assert "380 of 400 rows accepted, 20 quarantined" in few.stdout
    assert "'free'" in few.stdout
    assert 0 == few.exit_code
    assert "at most 10% of the rows may be bad; got 400 of 400" in str(many.exception)


def test_diff_tells_next_months_file_from_the_first(folder, tmp_path):
    """A new category and other prices are said, and the same file has no difference."""
    run("new", write(tmp_path / "my_cars.csv"), "--target", "price")
    same = run("check", tmp_path / "my_cars.csv", "--diff", "--json")
    text = write(tmp_path / "may.csv", start=400, price=lambda n: str(5000 + n)).read_text().replace("SEL", "GT")
    (tmp_path / "may.csv").write_text(text)
    other = json.loads(run("check", tmp_path / "may.csv", "--dataset", "my_cars", "--diff", "--json").stdout)

    assert [] == json.loads(same.stdout)["differences"]
    assert any(line.startswith("trim: 1 new categories in 133 rows: 'GT'") for line in other["differences"])
    assert any(line.startswith("price: shifted (PSI") for line in other["differences"])


def test_a_file_with_other_columns_is_told_by_diff_and_refused(folder, tmp_path):
    """What is new and what is gone comes before the refusal."""
    run("new", write(tmp_path / "my_cars.csv"), "--target", "price")
    (tmp_path / "may.csv").write_text((tmp_path / "my_cars.csv").read_text().replace("legroom", "colour"))
    done = run("check", tmp_path / "may.csv", "--dataset", "my_cars", "--diff")

    assert "columns that are not there any more: legroom" in done.stdout
    assert "columns that are new: colour" in done.stdout
    assert isinstance(done.exception, BatonError)


def test_list_shows_every_dataset_and_where_its_rows_come_from(folder, tmp_path):
    """Those that ship and a person's own."""
    run("new", write(tmp_path / "my_cars.csv"), "--target", "price")
    found = {row["dataset"]: row["rows"] for row in json.loads(run("list", "--json").stdout)}

    own = {"boston_housing": "its own", "my_cars": "by --source", "used_cars": "generated"}
    assert own == {name: found[name] for name in own}
