"""The folder where workers meet: this user's alone, short enough for sockets, and not left behind."""

import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from proxy.crew.place import LONGEST, NoPlaceError, is_dead, place_of, sweep


@pytest.fixture()
def top():
    """A temporary folder with a short name."""
    made = tempfile.mkdtemp(dir="/tmp")
    yield Path(made)
    shutil.rmtree(made)


def listening(path):
    """A socket at a path, which somebody listens at."""
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(path))
    door.listen(1)
    return door


def test_the_same_say_leads_to_the_same_place_and_another_one_elsewhere(top):
    home = place_of(["1", "/logs"], str(top))
    assert home == place_of(["1", "/logs"], str(top)) != place_of(["2", "/logs"], str(top))
    assert [path.stat().st_mode & 0o777 for path in (home, home.parent)] == [0o700, 0o700]


def test_a_folder_that_is_open_to_others_is_refused(top):
    home = place_of(["1"], str(top))
    for folder in (home, home.parent):
        folder.chmod(0o750)
        with pytest.raises(NoPlaceError, match="open to others"):
            place_of(["1"], str(top))
        folder.chmod(0o700)


def test_what_is_no_folder_or_a_link_to_one_is_refused(top):
    home = place_of(["1"], str(top))
    os.rmdir(home)
    home.write_text("")
    with pytest.raises(NoPlaceError, match="not a folder of this user's"):
        place_of(["1"], str(top))
    home.unlink()
    home.symlink_to(top)
    with pytest.raises(NoPlaceError, match="not a folder of this user's"):
        place_of(["1"], str(top))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(top):
    home = place_of(["1"], str(top))
    os.chown(home.parent, 12345, -1)
    with pytest.raises(NoPlaceError, match="not a folder of this user's"):
        place_of(["1"], str(top))


def test_where_the_temporary_folder_has_a_long_name_a_short_one_is_taken(top):
    home = place_of(["1"], str(top / ("x" * LONGEST)))
    assert home.parts[1] == "tmp" and len(os.fsencode(home)) < LONGEST
    home.rmdir()


def test_what_was_left_behind_is_swept_and_what_lives_is_not(top):
    left, lives, own, fresh = (place_of([name], str(top)) for name in ("left", "lives", "own", "fresh"))
    listening(left / "1.sock").close()
    (left / "1.counts").write_text("")
    listening(own / "1.sock").close()
    with listening(lives / "2.sock"):
        assert is_dead(left / "1.sock") and not is_dead(lives / "2.sock")
        sweep(own)
    assert sorted(path.name for path in own.parent.iterdir()) == sorted(path.name for path in (lives, own, fresh))
