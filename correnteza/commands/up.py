"""`correnteza up`: run the whole pipeline on one machine, and keep it running."""

import sys
from typing import Annotated

import typer

from correnteza.embedded.processes import Program
from correnteza.embedded.service import Service
from correnteza.embedded.stack import SERVICES, Stack
from correnteza.embedded.supervisor import Stopped, signals_raise, supervise
from correnteza.settings import Settings
from foundation.errors import UsageError
from schemas.contracts import load_all
from schemas.registry import enforce_compatibility
from schemas.topics import apply

# Verb that each component runs, and how long it may take to end: a stream ends at a batch boundary.
CHILDREN = {"stream": (("run", "all"), 90.0), "schedule": (("schedule",), 45.0)}
COMPONENTS = ("broker", "registry", *CHILDREN)


def command(
    components: Annotated[list[str] | None, typer.Argument(help=f"Any of: {', '.join(COMPONENTS)}.")] = None,
) -> None:
    """Run broker, registry, stream driver and schedule in the foreground; restart what dies; stop all on Ctrl-C.

    Without arguments: all four. `schedule` is one worker; another one on this machine outlives it
    (`correnteza schedule --help`). A broker or registry whose address is set is yours, and is not started.
    """
    names = tuple(components or COMPONENTS)
    if unknown := set(names) - set(COMPONENTS):
        raise UsageError(f"no component {', '.join(sorted(unknown))}", hint=f"correnteza up {' '.join(COMPONENTS)}")
    try:
        with signals_raise():
            _up(Settings(), names)
    except Stopped as stopped:
        raise typer.Exit(stopped.exit_code) from None


def _up(settings: Settings, names: tuple[str, ...]) -> None:
    theirs = {"broker": settings.kafka_bootstrap, "registry": settings.registry_url}
    embedded = tuple(name for name in SERVICES if name in names and not theirs[name])
    with Stack(settings, embedded) as stack:
        if "registry" in names:
            enforce_compatibility(settings.registry)
        if "broker" in names:
            apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
        for name in CHILDREN:
            if name in names:
                stack.run(_child(name, settings))
        for name, address in stack.endpoints.items():
            print(f"{name}={address}", flush=True)
        print(f"ready: {', '.join(names)}; logs in {settings.logs}", file=sys.stderr)
        supervise(stack)


def _child(name: str, settings: Settings) -> Service:
    verb, stop_seconds = CHILDREN[name]
    command = (sys.executable, "-m", "correnteza", *verb)
    log = settings.logs.resolve() / f"{name}.log"
    return Service(Program(name, command, log), is_ready=lambda: True, stop_seconds=stop_seconds)
