"""Images on hosts: caches, their users, and who goes when room is needed."""

from hypothesis import given
from hypothesis import strategies as st

from orrery.sched.leases.copies import Copies

HOST = 0


def cache(*images: tuple[str, int], room: int | None = 100) -> Copies:
    """A host to which these came, in this order, one second apart; nobody uses them."""
    copies = Copies(room)
    for at, (image, mib) in enumerate(images):
        copies.arrive(image, mib, HOST, [], at)
    return copies


def test_room_is_made_for_the_new_image_and_not_only_down_to_the_size_of_the_cache() -> None:
    """Haizea's defect 11: there the cache grew beyond its size by the newest image."""
    copies = cache(("a", 60), ("b", 40))
    assert copies.arrive("c", 50, HOST, [], 9)
    assert copies.images(HOST) == ["b", "c"]
    assert copies.cached_mib(HOST) == 90


def test_the_image_whose_use_is_longest_past_goes_first() -> None:
    copies = cache(("a", 40), ("b", 40))
    copies.pin(1, "a", 1)
    copies.unpin(1, "a", 1, 5)
    copies.arrive("c", 40, HOST, [], 9)
    assert copies.images(HOST) == ["a", "c"]


def test_a_use_that_never_came_about_does_not_count() -> None:
    copies = cache(("a", 40), ("b", 40))
    copies.pin(1, "a", 1)
    copies.unpin(1, "a", 1, None)
    copies.arrive("c", 40, HOST, [], 9)
    assert copies.images(HOST) == ["b", "c"]


def test_what_is_used_stays_and_the_new_image_is_there_for_its_lease_only() -> None:
    copies = cache(("a", 60))
    copies.pin(1, "a", 1)
    assert not copies.arrive("b", 60, HOST, [2], 5)
    assert copies.images(HOST) == ["a"]
    assert copies.own(2) == 1
    assert copies.disk[HOST] == 120
    copies.take(2, 1)
    assert copies.disk[HOST] == 60


def test_nothing_is_removed_when_that_would_not_make_enough_room() -> None:
    copies = cache(("a", 50), ("b", 50))
    copies.pin(1, "a", 1)
    assert not copies.arrive("c", 60, HOST, [2], 5)
    assert copies.images(HOST) == ["a", "b"]


def test_without_a_size_everything_is_kept_and_with_none_nothing() -> None:
    assert cache(("a", 10**9), ("b", 10**9), room=None).images(HOST) == ["a", "b"]
    assert cache(("a", 1), room=0).images(HOST) == []


def test_with_a_host_its_images_are_gone() -> None:
    copies = cache(("a", 10))
    copies.give(1, 20, 0b11)
    copies.lose(HOST)
    assert (copies.cached("a"), copies.own(1), copies.disk) == (0, 0b10, {0: 0, 1: 20})


@given(
    room=st.integers(1, 100),
    events=st.lists(
        st.tuples(st.sampled_from("abcdef"), st.integers(1, 60), st.integers(1, 4)), max_size=40
    ),
)
def test_a_cache_never_exceeds_its_size_and_used_images_stay(
    room: int, events: list[tuple[str, int, int]]
) -> None:
    copies, size = Copies(room), dict[str, int]()
    pinned: dict[int, str] = {}
    for at, (image, mib, lease) in enumerate(events):
        if lease in pinned:
            copies.unpin(lease, pinned.pop(lease), 1, at)
            copies.take(lease, 1)
        if copies.arrive(image, size.setdefault(image, mib), HOST, [lease], at):
            pinned[lease] = image
        else:
            copies.take(lease, 1)
        assert copies.cached_mib(HOST) <= room
        assert copies.cached_mib(HOST) == sum(size[str(i)] for i in copies.images(HOST))
        assert copies.disk.get(HOST, 0) == copies.cached_mib(HOST)
        assert set(pinned.values()) <= set(copies.images(HOST))
