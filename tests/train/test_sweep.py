"""The sweep over data workers makes every batch once for each number of them."""

import pytest

torch = pytest.importorskip("torch", reason="training needs the torch extra")

from rtspk.errors import ConfigError  # noqa: E402 - behind the skip
from rtspk.train.sweep import sweep_workers  # noqa: E402


class Counted(torch.utils.data.Dataset):
    """Five batches that count how often they are made in this process."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def __len__(self) -> int:
        return 5

    def __getitem__(self, step: int) -> int:
        self.made.append(step)
        return step


def test_every_number_of_workers_makes_the_same_batches():
    batches = Counted()
    speeds = sweep_workers(batches, [0, 0], 3)
    assert batches.made == [0, 1, 2, 3] * 2
    assert [speed.workers for speed in speeds] == [0, 0]
    assert all(speed.batches_per_second > 0 for speed in speeds)


@pytest.mark.parametrize(("workers", "count"), [([], 1), ([-1], 1), ([1], 5), ([1], 0)])
def test_what_cannot_be_swept_is_refused(workers, count):
    with pytest.raises(ConfigError, match="numbers of workers"):
        sweep_workers(Counted(), workers, count)
