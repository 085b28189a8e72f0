"""What helps when a volume is not made, by what the provisioner says."""

import pytest
import yamlrocks

from gitops_dr.resources import shipped
from gitops_dr.volumes.remedies import remedy

ROWS = yamlrocks.loads(shipped("volumes/remedies.yaml").read_bytes())
PREFIX = (
    'failed to provision volume with StorageClass "fast": error getting handle for DataSource '
    "Type VolumeSnapshot by Name s: "
)


DRIVER = "snapshotcontent c for snapshot s is not handled by CSI driver of StorageClass fast"
MODE = (
    "requested volume shop/data modifies the mode of the source volume but does not have permission"
)


@pytest.mark.parametrize(
    ("message", "helps"),
    [
        (DRIVER, "choose a StorageClass"),
        ("requested volume size 1 is less than the size 2 for the source snapshot s", "at least"),
        (MODE, "only Filesystem claims"),
        ("snapshot s is not Ready", "readyToUse"),
        ("snapshotcontent c for snapshot s is bound to a different snapshot", "run the same"),
        ("snapshot s is being deleted", "wait until the VolumeSnapshot is gone"),
        ('error getting snapshot s from api server: "s" not found', "choose a recovery point"),
        ("rpc error: code = NotFound desc = snapshot s: not found", "does the storage still"),
        ("rpc error: code = ResourceExhausted desc = full", "no room left"),
        ("exceeded quota: room, requested: requests.storage=1Gi", "raise the ResourceQuota"),
        ("something that nobody has heard of", ""),
        ("", ""),
    ],
)
def test_what_helps(message: str, helps: str) -> None:
    found = remedy(PREFIX + message)
    assert helps in found
    assert bool(found) is bool(helps)


@pytest.mark.parametrize("row", ROWS)
def test_every_row_is_whole(row: dict[str, str]) -> None:
    assert set(row) == {"contains", "remedy", "link"}
    assert row["link"].startswith("https://")
    assert not row["remedy"].endswith(".")
