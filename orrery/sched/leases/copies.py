"""Which images lie on which hosts: the caches, and the copies that belong to one lease.

A cached image has users; without any it stays until room is needed, the one whose use is longest
past going first. An image for which the cache has no room is there for its lease only.
"""

from collections.abc import Sequence

from orrery.sched.leases.masks import hosts_in
from orrery.sched.leases.repository import Image


class Copy:
    """An image in the cache of a host."""

    __slots__ = ("mib", "used", "users")

    def __init__(self, mib: int, used: int) -> None:
        self.mib = mib
        self.used = used
        """When it arrived or was last given back."""
        self.users: set[int] = set()


class Copies:
    """Images on hosts. Sets of hosts are masks."""

    def __init__(self, cache_mib: int | None) -> None:
        self._cache_mib = cache_mib
        """Room on each host: 0 keeps nothing, None everything."""
        self._cache: dict[int, dict[Image, Copy]] = {}
        self._cached_mib: dict[int, int] = {}
        self._where: dict[Image, int] = {}
        self._own: dict[int, int] = {}
        self._own_mib: dict[int, int] = {}
        self.disk: dict[int, int] = {}
        """MiB of images on each host."""
        self.version = 0
        """Grows with each change of what is cached where."""

    @property
    def keeps(self) -> bool:
        """Whether images may outlive the leases they were brought for."""
        return self._cache_mib != 0

    def cached(self, image: Image) -> int:
        """The hosts that have it in their caches."""
        return self._where.get(image, 0)

    def own(self, lease: int) -> int:
        """The hosts that have a copy for this lease only."""
        return self._own.get(lease, 0)

    def cached_mib(self, host: int) -> int:
        return self._cached_mib.get(host, 0)

    def images(self, host: int) -> list[Image]:
        """What is in the cache of a host, the longest there first."""
        return list(self._cache.get(host, ()))

    def in_use(self, host: int) -> list[Image]:
        """What of that leases use."""
        return [image for image, copy in self._cache.get(host, {}).items() if copy.users]

    def everywhere(self) -> dict[Image, int]:
        """The hosts that have each image in their caches."""
        return dict(self._where)

    # --- changes ----------------------------------------------------------------------------------

    def pin(self, lease: int, image: Image, hosts: int) -> None:
        """A lease uses the cached copies on these hosts: they stay."""
        for host in hosts_in(hosts):
            self._cache[host][image].users.add(lease)

    def unpin(self, lease: int, image: Image, hosts: int, used: int | None) -> None:
        """It uses them no more; `used`: when it did so last, None when it never did."""
        for host in hosts_in(hosts):
            copy = self._cache[host][image]
            copy.users.discard(lease)
            if used is not None:
                copy.used = max(copy.used, used)

    def arrive(self, image: Image, mib: int, host: int, users: Sequence[int], now: int) -> bool:
        """An image has come to a host; whether it is in the cache now, for all to use."""
        copy = self._cache.get(host, {}).get(image)
        if copy is None and self._make_room(host, mib):
            copy = self._keep(image, mib, host, now)
        if copy is not None:
            copy.users.update(users)
            return True
        for lease in users:
            self.give(lease, mib, 1 << host)
        return False

    def _keep(self, image: Image, mib: int, host: int, now: int) -> Copy:
        copy = self._cache.setdefault(host, {})[image] = Copy(mib, now)
        self._where[image] = self._where.get(image, 0) | 1 << host
        self._cached_mib[host] = self._cached_mib.get(host, 0) + mib
        self._fill(host, mib)
        self.version += 1
        return copy

    def _make_room(self, host: int, mib: int) -> bool:
        """Room for one more image, if need be by removing unused ones; False changes nothing."""
        if self._cache_mib is None or self._cache_mib == 0:
            return self._cache_mib is None
        missing = self._cached_mib.get(host, 0) + mib - self._cache_mib
        going = []
        unused = [item for item in self._cache.get(host, {}).items() if not item[1].users]
        for image, copy in sorted(unused, key=_last_use):
            if missing <= 0:
                break
            going.append(image)
            missing -= copy.mib
        if missing > 0:
            return False
        for image in going:
            self._evict(host, image)
        return True

    def _evict(self, host: int, image: Image) -> None:
        copy = self._cache[host].pop(image)
        self._cached_mib[host] -= copy.mib
        self._where[image] &= ~(1 << host)
        if not self._where[image]:
            del self._where[image]
        self._fill(host, -copy.mib)
        self.version += 1

    def forget(self, image: Image, host: int) -> None:
        """A copy that nobody uses is removed."""
        copy = self._cache.get(host, {}).get(image)
        if copy is not None and not copy.users:
            self._evict(host, image)

    def give(self, lease: int, mib: int, hosts: int) -> None:
        """These hosts have a copy for this lease only."""
        for host in hosts_in(hosts & ~self.own(lease)):
            self._fill(host, mib)
        self._own[lease] = self.own(lease) | hosts
        self._own_mib[lease] = mib

    def take(self, lease: int, hosts: int) -> None:
        """Its own copies on these hosts are removed."""
        mine = self.own(lease)
        for host in hosts_in(mine & hosts):
            self._fill(host, -self._own_mib[lease])
        if mine & ~hosts:
            self._own[lease] = mine & ~hosts
        elif mine:
            del self._own[lease], self._own_mib[lease]

    def lose(self, host: int) -> None:
        """Nothing is left on a host."""
        for image in self.images(host):
            self._evict(host, image)
        for lease in [lease for lease, mask in self._own.items() if mask >> host & 1]:
            self.take(lease, 1 << host)

    def _fill(self, host: int, mib: int) -> None:
        self.disk[host] = self.disk.get(host, 0) + mib


def _last_use(item: tuple[Image, Copy]) -> int:
    return item[1].used
