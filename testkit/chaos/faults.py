"""How each fault is done to a running stack, and when it is over."""

import os
import resource
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

from redis.exceptions import RedisError

from testkit.chaos.messages import Messages
from testkit.chaos.recovery import Recoveries
from testkit.chaos.schedule import Fault, Kind
from testkit.chaos.service.processes import Service
from testkit.chaos.service.stack import STOP_LIMIT_SECONDS, Stack
from testkit.chaos.targets import Hit, Targets

# on the way of each chunk: a gateway's calls take most of the time that it grants
SLOW_REDIS_SECONDS = 0.15
SLOW_STORAGE_SECONDS = 0.5
CLOCK_JUMPS = (3600.0, -3600.0, 86400.0 * 30)
ROOM_BYTES = 4096  # that the disk of Redis still has when it gets full

_XML = b'<?xml version="1.0"?><Error><Code>%s</Code><Message>by the harness</Message></Error>'


def _http(status: bytes, code: bytes) -> bytes:
    body = _XML % code
    head = [
        b"HTTP/1.1 " + status,
        b"Content-Type: application/xml",
        b"Content-Length: %d" % len(body),
        b"Connection: close",
    ]
    return b"\r\n".join([*head, b"", body])


FAILING = _http(b"500 Internal Server Error", b"InternalError")
FULL = _http(b"507 Insufficient Storage", b"InsufficientStorage")


class Injector:
    """Does faults to a stack."""

    def __init__(self, stack: Stack, recoveries: Recoveries) -> None:
        self._stack, self._recoveries = stack, recoveries
        self._targets = Targets(stack)
        self._messages = Messages(stack.redis)

    async def inflict(self, fault: Fault) -> Hit:
        """Begin a fault; what is answered ends it."""
        does = {
            Kind.KILL_WORKER: self._kill_worker,
            Kind.KILL_CHILD: self._kill_worker,
            Kind.KILL_DISPATCHER: self._kill_dispatcher,
            Kind.KILL_GATEWAY: self._kill_gateway,
            Kind.KILL_REDIS: self._kill_redis,
            Kind.STOP_WORKER: self._stop_worker,
            Kind.STOP_CHILD: self._stop_worker,
            Kind.STOP_PARENT: self._stop_worker,
            Kind.STOP_DISPATCHER: self._stop_dispatcher,
            Kind.STOP_GATEWAY: self._stop_gateway,
            Kind.STOP_REDIS: self._stop_redis,
            Kind.STOP_STORAGE: self._stop_storage,
            Kind.FULL_REDIS: self._fill_redis,
            Kind.FULL_DISK: self._fill_disk,
            Kind.CLOCK: self._move_clock,
            Kind.UPGRADE: self._upgrade,
            Kind.TERMINATE_WORKER: self._terminate_worker,
            Kind.DUPLICATE: self._messages.duplicate,
            Kind.REPLAY: self._messages.replay,
            Kind.LOST_MESSAGE: self._messages.lose,
        }
        return await does.get(fault.kind, self._harm_network)(fault)

    # processes

    async def _kill_worker(self, fault: Fault) -> Hit:
        worker, job = await self._targets.busy_worker(fault)
        starts = worker.starts
        if fault.kind is Kind.KILL_WORKER:
            whom = f"{worker.name} (pid {worker.pid})"
            worker.send(signal.SIGKILL)
        else:
            child = worker.pool_child()
            whom = f"child of {worker.name} (pid {child})"
            _signal([child], signal.SIGKILL)
            await self._stack.forget_model_loads(worker)
        if job:
            self._recoveries.watch(fault, *job)

        async def is_back() -> None:
            if fault.kind is Kind.KILL_WORKER:
                await self._targets.started_again(worker, starts)
                await self._stack.until(
                    lambda: self._stack.worker_is_ready(worker), f"{worker.name} is back"
                )
                return

            async def has_loaded_again() -> bool:
                return worker.starts > starts or await self._stack.model_loads(worker) > 0

            await self._stack.until(has_loaded_again, f"{worker.name} has a new child")

        return Hit(whom, is_back)

    async def _kill_dispatcher(self, fault: Fault) -> Hit:
        return self._kill(await self._stack.leader())

    async def _kill_gateway(self, fault: Fault) -> Hit:
        gateway = self._targets.gateway(fault)
        return self._kill(gateway, lambda: self._stack.gateway_is_ready(gateway))

    async def _kill_redis(self, fault: Fault) -> Hit:
        return self._kill(self._stack.redis_server, self._stack.redis_answers)

    def _kill(self, service: Service, is_back: Callable[[], Awaitable[bool]] | None = None) -> Hit:
        starts = service.starts
        service.send(signal.SIGKILL)

        async def wait() -> None:
            await self._targets.started_again(service, starts)
            if is_back:
                await self._stack.until(is_back, f"{service.name} is back")

        return Hit(f"{service.name} (pid {service.pid})", wait)

    async def _terminate_worker(self, fault: Fault) -> Hit:
        worker, _ = await self._targets.busy_worker(fault)

        async def is_back() -> None:
            await worker.restart(STOP_LIMIT_SECONDS)
            await self._stack.until(
                lambda: self._stack.worker_is_ready(worker), f"{worker.name} is back"
            )

        return Hit(worker.name, is_back)

    async def _upgrade(self, fault: Fault) -> Hit:
        async def one_after_the_other() -> None:
            for service in self._stack.services:
                await service.restart(STOP_LIMIT_SECONDS)
                if service in self._stack.gateways:
                    await self._stack.until(
                        lambda gateway=service: self._stack.gateway_is_ready(gateway),
                        f"{service.name} is back",
                    )
                elif service in self._stack.workers:
                    await self._stack.until(
                        lambda worker=service: self._stack.worker_is_ready(worker),
                        f"{service.name} is back",
                    )

        return Hit("all, one after the other", one_after_the_other)

    async def _stop_worker(self, fault: Fault) -> Hit:
        worker, _ = await self._targets.busy_worker(fault)
        everyone = [worker.pid, *(child.pid for child in worker.children())]
        frozen = {
            Kind.STOP_WORKER: everyone,
            Kind.STOP_CHILD: [worker.pool_child()],
            Kind.STOP_PARENT: [worker.pid],
        }[fault.kind]
        return self._freeze(worker.name, frozen)

    async def _stop_dispatcher(self, fault: Fault) -> Hit:
        leader = await self._stack.leader()
        return self._freeze(leader.name, [leader.pid])

    async def _stop_gateway(self, fault: Fault) -> Hit:
        gateway = self._targets.gateway(fault)
        return self._freeze(gateway.name, [gateway.pid])

    async def _stop_redis(self, fault: Fault) -> Hit:
        return self._freeze("redis", [self._stack.redis_server.pid])

    async def _stop_storage(self, fault: Fault) -> Hit:
        return self._freeze("storage", [self._stack.s3_server.process.pid])

    @staticmethod
    def _freeze(whom: str, pids: list[int | None]) -> Hit:
        _signal(pids, signal.SIGSTOP)

        async def thaw() -> None:
            _signal(pids, signal.SIGCONT)

        return Hit(whom, thaw)

    # the network

    async def _harm_network(self, fault: Fault) -> Hit:
        proxies, storage = self._stack.redis_proxies, self._stack.storage_proxy
        leader = (await self._stack.leader()).name if fault.kind is Kind.PART_DISPATCHER else ""
        everywhere = list(proxies)
        names, harm = {
            Kind.PART_WORKER: ([self._targets.worker(fault).name], lambda proxy: proxy.half_open()),
            Kind.PART_DISPATCHER: ([leader], lambda proxy: proxy.half_open()),
            Kind.PART_GATEWAY: (
                [self._targets.gateway(fault).name],
                lambda proxy: proxy.half_open(),
            ),
            Kind.PART_ALL: (everywhere, lambda proxy: proxy.half_open()),
            Kind.SLOW_REDIS: (everywhere, lambda proxy: proxy.slow(SLOW_REDIS_SECONDS)),
            Kind.CUT_REDIS: (everywhere, lambda proxy: proxy.cut()),
            Kind.PART_STORAGE: (["storage"], lambda proxy: proxy.half_open()),
            Kind.SLOW_STORAGE: (["storage"], lambda proxy: proxy.slow(SLOW_STORAGE_SECONDS)),
            Kind.CUT_STORAGE: (["storage"], lambda proxy: proxy.cut()),
            Kind.FAILING_STORAGE: (["storage"], lambda proxy: proxy.answer(FAILING)),
            Kind.FULL_STORAGE: (["storage"], lambda proxy: proxy.answer(FULL)),
        }[fault.kind]
        harmed = [storage if name == "storage" else proxies[name] for name in names]
        for proxy in harmed:
            harm(proxy)

        async def heal() -> None:
            for proxy in harmed:
                proxy.heal()

        return Hit("all" if names is everywhere else names[0], heal)

    # full disks and wrong clocks

    async def _fill_redis(self, fault: Fault) -> Hit:
        await self._stack.redis.config_set("maxmemory", 1)

        async def make_room() -> None:
            await self._stack.until(self._set_no_memory_limit, "Redis takes a setting")

        return Hit("redis", make_room)

    async def _set_no_memory_limit(self) -> bool:
        """False while Redis is away; a Redis that was killed meanwhile has no limit."""
        with suppress(RedisError, OSError):
            return bool(await self._stack.redis.config_set("maxmemory", 0))
        return False

    async def _fill_disk(self, fault: Fault) -> Hit:
        """A file that may not grow is what Redis sees of a full disk."""
        pid = self._stack.redis_server.pid
        size = int((await self._stack.redis.info("persistence"))["aof_current_size"])
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + ROOM_BYTES, hard))

        async def make_room() -> None:
            with suppress(ProcessLookupError):  # killed meanwhile: the next one has no limit
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))

        return Hit("redis", make_room)

    async def _move_clock(self, fault: Fault) -> Hit:
        worker = self._targets.worker(fault)
        jump = CLOCK_JUMPS[fault.number % len(CLOCK_JUMPS)]
        self._stack.set_clock(worker, jump)

        async def set_right() -> None:
            self._stack.set_clock(worker, 0.0)

        return Hit(f"{worker.name} by {timedelta(seconds=jump)}", set_right)


def _signal(pids: list[int | None], number: signal.Signals) -> None:
    """To each that still lives."""
    for pid in pids:
        with suppress(ProcessLookupError):
            if pid:
                os.kill(pid, number)
