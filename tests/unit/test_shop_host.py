"""The shop's host takes a release that was built elsewhere, once, under a name that nothing else goes by."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from demo.shop import releases
from demo.shop.host import Host
from steward.clients.application_host import ApplicationHost, HostRefused, OtherRelease
from tests.shop_host import served

GOOD = (releases.FOLDER / "good.toml").read_bytes()
OTHER = GOOD.replace(b"as good as", b"better than")


@pytest.fixture
def host(tmp_path):
    with (
        served(Host({}, lambda: "a word", tmp_path / "releases")) as url,
        ApplicationHost(url, "a word") as client,
    ):
        yield client


def test_what_it_takes_may_be_placed_and_is_kept_byte_for_byte(host, tmp_path):
    host.take("0123456789ab", GOOD)
    assert host.releases()["0123456789ab"] == "The new search, as good as the old one."
    assert (tmp_path / "releases" / "0123456789ab.toml").read_bytes() == GOOD
    assert releases.read("0123456789ab", tmp_path / "releases").on.erring_percent == 1
    assert set(releases.names()) < set(host.releases())


def test_the_same_again_is_no_other_release(host, tmp_path):
    host.take("0123456789ab", GOOD)
    host.take("0123456789ab", GOOD)
    assert [each.name for each in (tmp_path / "releases").iterdir()] == ["0123456789ab.toml"]


@pytest.mark.parametrize("name", ["0123456789ab", "steady"])
def test_another_release_under_the_same_name_is_refused_and_the_first_stays(host, name):
    host.take("0123456789ab", GOOD)
    before = host.releases()[name]
    with pytest.raises(OtherRelease, match=f"there is another release {name}") as refused:
        host.take(name, OTHER)
    assert "give this one its own" in refused.value.hint
    assert host.releases()[name] == before


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("v1", b"description = 1", "release v1 cannot be read: .*off: Field required"),
        ("v1", b"\xff", "release v1 cannot be read"),
        ("v1", b"#" * 70_000, "release v1 has"),
        ("Not a name", GOOD, "'Not a name' is no name"),
    ],
    ids=["other TOML", "no text", "too large", "no name"],
)
def test_what_it_could_not_run_is_refused_and_not_kept(host, tmp_path, name, content, says):
    with pytest.raises(HostRefused, match=says):
        host.take(name, content)
    assert not (tmp_path / "releases").exists()


def test_only_whoever_has_the_token_hands_over(host):
    with ApplicationHost(host.url, "another word") as stranger, pytest.raises(HostRefused, match="refuses the token"):
        stranger.take("v1", GOOD)


def test_of_two_at_the_same_moment_one_release_is_kept_whole(tmp_path):
    def take(content):
        try:
            return releases.take("v1", content, tmp_path / "releases")
        except releases.OtherRelease:
            return None

    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(take, [GOOD, OTHER] * 8))
    kept = (tmp_path / "releases" / "v1.toml").read_bytes()
    assert (ends.count(True), kept in {GOOD, OTHER}) == (1, True)
    assert ends.count(None) == 8
