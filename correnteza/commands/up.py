"""`correnteza up`: run the whole pipeline on one machine, and keep it running."""

import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

import typer

from correnteza import replay_state
from correnteza.embedded import ports
from correnteza.embedded.processes import Program
from correnteza.embedded.service import Service
from correnteza.embedded.stack import OBJECT_STORE, SERVICES, Stack
from correnteza.embedded.supervisor import Stopped, signals_raise, supervise
from correnteza.own_home import own_places
from correnteza.replaying import duration, replayed
from correnteza.settings import Settings
from correnteza.topics import apply
from foundation import notify
from foundation.errors import UsageError
from schemas.contracts import load_all
from schemas.registry import prove_compatibility

# The command of each component, and how long it may take to end: a stream ends at a batch boundary.
CHILDREN = {"stream": (("run", "all"), 90.0), "schedule": (("schedule",), 45.0), "monitor": (("monitor",), 10.0)}
COMPONENTS = ("broker", "registry", *CHILDREN)
EXTRA = (OBJECT_STORE,)
"""What only `--with` starts."""


def command(
    components: Annotated[list[str] | None, typer.Argument(help=f"Any of: {', '.join(COMPONENTS)}.")] = None,
    with_: Annotated[
        list[str] | None, typer.Option("--with", metavar="NAME", help=f"Run this too: {', '.join(EXTRA)}.")
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Use recorded publications instead of the sources, in <home>/replay.")
    ] = False,
    day_every: Annotated[
        str, typer.Option(metavar="TIME", help="With --replay: how long a publication day takes, such as 30s, 2m, 1h.")
    ] = "2m",
) -> None:
    """Run broker, registry, driver, schedule and monitor in the foreground; restart what dies; stop all on Ctrl-C.

    Without arguments it runs all five. `monitor` serves a status page and metrics for Prometheus; its address is
    printed. If its port (9464) is in use, it gets a free one. `schedule` is one worker; you can start another one on
    this machine (`correnteza schedule --help`). If you set the address of a broker or registry, `up` uses it and starts
    none.

    With `--replay` the network is not used: a local server gives the sources' recorded answers, one publication day
    after the other, with a clock that runs at that speed; broker and registry are always the embedded ones. Commands in
    the replay's home have its clock as long as it runs.

    `--with object-store` also runs an S3-compatible store for this home, with the buckets `lake` and `archive`. Tables
    and payloads are in it where the settings say so: `lake = "s3://lake"`, `archive = "s3://archive"`. With `--replay`
    they are in it.
    """
    names = tuple(components or COMPONENTS)
    if unknown := set(names) - set(COMPONENTS):
        raise UsageError(f"no component {', '.join(sorted(unknown))}", hint=f"correnteza up {' '.join(COMPONENTS)}")
    if unknown := set(with_ or ()) - set(EXTRA):
        raise UsageError(f"nothing is called {', '.join(sorted(unknown))}", hint=f"--with {' '.join(EXTRA)}")
    names += tuple(with_ or ())
    try:
        with signals_raise():
            if replay:
                _up_replayed(names, duration(day_every))
            else:
                _up(Settings(), names)
    except Stopped as stopped:
        raise typer.Exit(stopped.exit_code) from None


def _up_replayed(names: tuple[str, ...], day_every: timedelta) -> None:
    settings = Settings()
    settings = settings.model_copy(update=own_places(settings.home / "replay", in_store=OBJECT_STORE in names))
    with replayed(settings, day_every) as variables:
        print(f"other commands see it with: export CORRENTEZA_HOME={settings.home}", file=sys.stderr)
        _up(settings, names, variables)


def _up(settings: Settings, names: tuple[str, ...], variables: Mapping[str, str] | None = None) -> None:
    """Args: variables: for the children, in addition to this process's environment."""
    theirs = {"broker": settings.kafka_bootstrap, "registry": settings.registry_url}
    embedded = tuple(name for name in (*SERVICES, OBJECT_STORE) if name in names and not theirs.get(name))
    with Stack(settings, embedded) as stack:
        if "registry" in names:
            prove_compatibility(settings.registry)
        if "broker" in names:
            apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
        if variables is not None:
            # In a replay the addresses of a settings file are not used.
            variables = {f"CORRENTEZA_{name.upper()}": at for name, at in stack.endpoints.items()} | dict(variables)
            replay_state.write(settings.run, variables)
        port = _monitor_port(settings) if "monitor" in names else None
        for name in CHILDREN:
            if name in names:
                stack.run(_child(name, settings, variables, ("--port", str(port)) if name == "monitor" else ()))
        for name, address in stack.endpoints.items():
            print(f"{name}={address}", flush=True)
        if port is not None:
            print(f"monitor=http://{settings.metrics_host}:{port}/", flush=True)
        print(f"ready: {', '.join(names)}; logs in {settings.logs}", file=sys.stderr)
        notify.ready()
        supervise(stack)


def _monitor_port(settings: Settings) -> int:
    """The port from the settings; a free one if it is in use, because a monitor that cannot listen would end all
    components."""
    port = settings.monitor_port
    if not port or ports.accepts("127.0.0.1", port):
        return ports.free()
    return port


def _child(
    name: str, settings: Settings, variables: Mapping[str, str] | None, options: tuple[str, ...] = ()
) -> Service:
    verb, stop_seconds = CHILDREN[name]
    command = (sys.executable, "-m", "correnteza", *verb, *options)
    log = settings.logs.resolve() / f"{name}.log"
    return Service(Program(name, command, log, variables), is_ready=lambda: True, stop_seconds=stop_seconds)
