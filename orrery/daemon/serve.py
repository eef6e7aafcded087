"""The daemon's composition root: builds store, drivers, engine and APIs, and runs them in one task
group.

Nothing else knows all parts. An unexpected error anywhere ends the process; the next start
recovers.
"""

import argparse
import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path

import structlog
import uvicorn

from orrery.api.http import Application, Parts, build
from orrery.api.rpc_protocol import RpcProtocol
from orrery.config import BY_NAME, Settings, read_settings
from orrery.core.errors import Refused, Unavailable
from orrery.core.messages import Bootstrap
from orrery.daemon import journal
from orrery.daemon.fleet import Fleet, adopt
from orrery.daemon.leases import lease_limits, scheduler_settings
from orrery.daemon.monitoring import Journal, Metrics, Monitoring, prune_records
from orrery.engine.assembly import Engine
from orrery.engine.limits import Limits
from orrery.engine.view import State
from orrery.sched.planner import plan
from orrery.service.engine import Engine as Services
from orrery.service.sessions import Sessions, default_hasher
from orrery.store.series import SqliteSeries
from orrery.store.sqlite import SqliteStore

log = structlog.get_logger("orrery.daemon")

AfterStart = Callable[[Settings, Services, str], Awaitable[None]]
"""Called once the engine serves, with the use cases' engine and the address."""


class SystemClock:
    """`ports.clock.Clock` of the real world."""

    def now(self) -> float:
        return time.time()  # noqa: TID251 - the composition root


def serve(argv: list[str]) -> int:
    """`orrery serve`: run the engine in the foreground until SIGTERM or SIGINT."""
    return run(argv, "orrery serve", {}, None)


def run(
    argv: list[str], program: str, defaults: dict[str, str], after_start: AfterStart | None
) -> int:
    try:
        settings = settings_from(argv, program, defaults)
        prepare_home(settings)
    except Refused as error:
        print(f"{program}: {error}", file=sys.stderr)  # noqa: T201
        return 2
    journal.set_up(settings.text("log_level"), settings.text("log_format"))
    try:
        asyncio.run(Daemon(settings, after_start).run())
    except Refused as error:
        print(f"{program}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def settings_from(argv: Sequence[str], program: str, defaults: dict[str, str]) -> Settings:
    parser = argparse.ArgumentParser(program, description="Run the Orrery engine.")
    parser.add_argument("--config", type=Path, help="settings file (TOML)")
    for name, setting in BY_NAME.items():
        shown = f"{setting.help} (default: {setting.default})" if setting.default else setting.help
        parser.add_argument(f"--{name.replace('_', '-')}", help=shown.replace("%", "%%"))
    given = vars(parser.parse_args(argv))
    file = given.pop("config")
    environment = dict(os.environ)
    for name, value in defaults.items():
        environment.setdefault(f"ORRERY_{name.upper()}", value)
    return read_settings(given, environment, file)


# --- the home directory ---------------------------------------------------------------------------


def prepare_home(settings: Settings) -> None:
    """Make the directories. The home is passable, so that hypervisors reach disks, but not
    readable.

    Raises:
        Unavailable: it cannot be made; says why.
    """
    home = settings.home
    try:
        home.mkdir(parents=True, exist_ok=True)
        home.chmod(0o711)
        (home / "run").mkdir(exist_ok=True, mode=0o700)
        settings.datastore_dir.mkdir(parents=True, exist_ok=True)
        for number in (0, 1, 2):
            (settings.datastore_dir / str(number)).mkdir(exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"--home: {error.filename}: {error.strerror}: give a directory that can be written"
        ) from error


def first_password(settings: Settings) -> str:
    """oneadmin's password from `one_auth`, which is written on the first start."""
    path = settings.home / "one_auth"
    if path.exists():
        return path.read_text().strip().partition(":")[2]
    password = secrets.token_urlsafe(18)
    write_private(path, f"oneadmin:{password}\n")
    return password


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


# --- the daemon -----------------------------------------------------------------------------------


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: the daemon has one place that stops everything."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Daemon:
    """One run of the engine with its APIs."""

    def __init__(self, settings: Settings, after_start: AfterStart | None) -> None:
        self._settings = settings
        self._after_start = after_start
        self._clock = SystemClock()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. A signal stops all tasks; what is unfinished is recovered at the
        next start."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        listener = bind(*self._settings.listen)
        store = SqliteStore(self._settings.database_path)
        await store.open(str(uuid.uuid4()))  # noqa: TID251 - the composition root
        try:
            engine = await self._load(store)
            async with asyncio.TaskGroup() as group:
                main = group.create_task(self._serve(engine, listener), name="daemon")
                await wait_for_either(stop, main)
                main.cancel()
        finally:
            listener.close()
            await store.close()
            log.info("stopped")

    async def _load(self, store: SqliteStore) -> Engine:
        settings = self._settings
        limits = Limits(
            actions_per_host=settings.whole("actions_per_host"),
            actions_total=settings.whole("actions_total"),
            shutdown_timeout_s=settings.number("shutdown_timeout_s"),
            monitor_period_s=settings.number("monitor_period_s"),
            monitor_timeout_s=settings.number("monitor_timeout_s"),
            reconcile_period_s=settings.number("reconcile_period_s"),
            samples_kept_s=settings.number("samples_kept_s"),
        )
        engine = await Engine.load(
            store,
            SqliteSeries(settings.home / "monitoring.db"),
            self._make_fleet,
            self._clock,
            partial(plan, policy=settings.text("scheduler_policy")),
            limits,
            name_prefix=settings.text("name_prefix"),
            leases=scheduler_settings(settings),
            learns=settings.text("lease_learning") == "on",
        )
        self._engine = engine
        return engine

    def _make_fleet(self, state: State) -> Fleet:
        fleet = Fleet(
            self._settings, state, lambda host_id: self._engine.monitor.poll_soon(host_id)
        )
        adopt(fleet.world, state)
        return fleet

    async def _serve(self, engine: Engine, listener: socket.socket) -> None:
        metrics = Metrics(engine)
        engine.writer.listen(metrics.on_commit)
        engine.writer.listen(journal.log_commit)
        url = address_of(listener)
        services = Services(
            engine.view,
            engine.submit,
            lambda: secrets.token_hex(8),
            self._clock,
            engine.leasing,
            lease_limits(self._settings),
        )
        ready = asyncio.Event()
        kept_s = self._settings.number("records_kept_days") * 86400.0
        async with asyncio.TaskGroup() as group:
            fleet = engine.fleet
            assert isinstance(fleet, Fleet)  # made by _make_fleet
            group.create_task(fleet.run(), name="fleet")
            group.create_task(engine.run(await self._bootstrap(engine), ready), name="engine")
            await ready.wait()
            server = http_server(self._application(engine, services, metrics, url))
            group.create_task(server.serve([listener]), name="http")
            group.create_task(prune_records(engine, kept_s), name="pruning")
            self._announce(url)
            if self._after_start is not None:
                await self._after_start(self._settings, services, url)

    async def _bootstrap(self, engine: Engine) -> Bootstrap:
        password_hash = ""
        if not engine.view.users:
            password = first_password(self._settings)
            password_hash = await asyncio.to_thread(default_hasher().hash, password)
        return Bootstrap(
            cause="start",
            password_hash=password_hash,
            datastore_dir=str(self._settings.datastore_dir),
            driver=self._settings.text("datastore_driver"),
        )

    def _application(
        self, engine: Engine, services: Services, metrics: Metrics, url: str
    ) -> Application:
        monitoring = Monitoring(engine)
        parts = Parts(
            engine=services,
            sessions=Sessions(engine.view, self._clock, secrets.token_bytes(32), default_hasher()),
            monitoring=monitoring,
            events=engine.hub,
            journal=Journal(engine),
            make_token=lambda: secrets.token_hex(32),
            metrics=metrics.exposition,
            is_healthy=lambda: True,
            endpoint=f"{url}/RPC2",
            version=version("orrery"),
            settings={name: str(value) for name, value in self._settings.values.items()},
            body_limit=self._settings.whole("request_limit_mib") * 1024 * 1024,
        )
        return build(parts)

    def _announce(self, url: str) -> None:
        (self._settings.home / "endpoint").write_text(f"{url}/RPC2\n")
        log.info("listening", url=url, home=str(self._settings.home))
        if not is_loopback(self._settings.listen[0]):
            log.warning(
                "others can reach the API, and passwords travel unencrypted: "
                "put a proxy with TLS in front of it",
                url=url,
            )
        notify("READY=1")


async def wait_for_either(stop: asyncio.Event, main: asyncio.Task[None]) -> None:
    """Until somebody asks to stop, or the main task ends by itself (and its error speaks)."""
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([stopping, main], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()


def bind(host: str, port: int) -> socket.socket:
    """The listening socket; port 0 takes a free one.

    Raises:
        Unavailable: the address cannot be had; says why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named: asyncio switches Nagle's algorithm off only where it is, and 40 ms of
    # delay a call is what it costs otherwise.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"--listen {host}:{port}: {error.strerror}: give a free address of this machine"
        ) from error
    listener.listen(512)
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address; a name other than localhost may mean
    anything."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def http_server(application: Application) -> Server:
    """uvicorn, with the short way to XML-RPC before it."""
    protocol = partial(RpcProtocol, begin=application.rpc.begin, body_limit=application.body_limit)
    config = uvicorn.Config(
        application,
        loop="asyncio",
        http=protocol,  # type: ignore[arg-type] # uvicorn only calls it
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    return Server(config)


def notify(state: str) -> None:
    """Tell systemd, if it started us (sd_notify(3))."""
    name = os.environ.get("NOTIFY_SOCKET")
    if not name:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect("\0" + name[1:] if name.startswith("@") else name)
        channel.send(state.encode())
