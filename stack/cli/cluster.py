"""``./baton cluster``: the kind cluster by itself, the images in it, and both made from source without a registry."""

import json
from typing import Annotated

import typer

from stack.cli.console import out, step

app = typer.Typer(
    help="The kind cluster by itself: for Tilt, and for machines without an image registry.", no_args_is_help=True
)
NEXT = """The cluster is there. In this shell, next:

eval "$(./baton env --mode cluster)"
tilt up"""


@app.command()
def create() -> None:
    """Make or start the empty cluster, for tilt up."""
    from stack.cluster.node import Node

    with step("cluster") as shown:
        Node().up(shown.update)
    out.print(NEXT)


@app.command()
def images(
    load: Annotated[bool, typer.Option("--load", help="Put the platform's into the cluster, ready for Tilt.")] = False,
) -> None:
    """Build the images, and print their names as JSON."""
    from stack.cluster import charts, loading
    from stack.cluster import images as stack_images
    from stack.cluster.node import Node

    with step("images") as shown:
        stack_images.build(shown.update)
        references = stack_images.references() | {stack_images.PYTHON: stack_images.base().reference}
        if load:
            node = Node()
            charts.make_namespace(node)
            charts.make_password(node)
            loading.load(node, [image for image in stack_images.images() if image.name != stack_images.APPS])
    print(json.dumps(references, indent=1))


@app.command()
def values() -> None:
    """Write the charts' values for tilt up. It prints their folder."""
    from stack.cluster import charts
    from stack.cluster import images as stack_images
    from stack.cluster.node import Node

    print(charts.write_values(Node(), stack_images.references()))


@app.command("from-source")
def from_source(
    if_needed: Annotated[bool, typer.Option("--if-needed", help="Images only when no registry answers.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End the Docker that this command started.")] = False,
) -> None:
    """Make what a cluster needs from package registries. That is Docker, kind, helm, kubectl and the base images."""
    from stack import kind_from_source

    if stop:
        ended = kind_from_source.docker.stop()
        out.print("Docker is ended." if ended else "There is no Docker that was started from here.")
    else:
        kind_from_source.run(step, if_needed=if_needed)
