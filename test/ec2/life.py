# SPDX-License-Identifier: Apache-2.0
"""The life of volumes as boto3 sees it: waiters, paginators, tags, growth, errors.

MALLEE_ENDPOINT names the cloud, AWS_* the account and the authority. It needs a
partition and a node that are there, makes volumes of its own and deletes them.
"""

import os
import time
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

SUITE = uuid.uuid4().hex
MINE = [{"Name": "tag:suite", "Values": [SUITE]}]
QUICK = {"Delay": 1, "MaxAttempts": 30}
# Two equal calls within one second are signed alike, taken for the same, and get
# the same answer. This makes one of them another.
ONCE_MORE = {"DryRun": False}
CONFIG = Config(retries={"total_max_attempts": 1})

session = boto3.session.Session()
ec2 = session.client("ec2", endpoint_url=os.environ["MALLEE_ENDPOINT"], config=CONFIG)
resource = session.resource("ec2", endpoint_url=os.environ["MALLEE_ENDPOINT"], config=CONFIG)


def equal(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def refused(code, call, **parameters):
    """The call fails with this code."""
    try:
        call(**parameters)
    except ClientError as e:
        equal(e.response["Error"]["Code"], code)
        assert e.response["ResponseMetadata"]["RequestId"], "the error has no request id"
        return
    raise AssertionError(f"{call.__name__} with {parameters} was not refused")


def wait(waiter, *ids):
    ec2.get_waiter(waiter).wait(VolumeIds=list(ids), WaiterConfig=QUICK)


def create(number, **parameters):
    tags = [{"Key": "suite", "Value": SUITE}, {"Key": "number", "Value": str(number)}]
    return ec2.create_volume(
        AvailabilityZone=zone, Size=1, VolumeType="gp3", TagSpecifications=[{"ResourceType": "volume", "Tags": tags}], **parameters
    )["VolumeId"]


def tags_of(volume):
    found = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [volume]}])["Tags"]
    return {t["Key"]: t["Value"] for t in found if t["Key"] not in ("suite", "number")}


# Where to work.
zone = ec2.describe_availability_zones(Filters=[{"Name": "state", "Values": ["available"]}])["AvailabilityZones"][0]["ZoneName"]
running = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])["Reservations"]
instance = running[0]["Instances"][0]["InstanceId"]
ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=QUICK)
ec2.get_waiter("instance_status_ok").wait(InstanceIds=[instance], WaiterConfig=QUICK)

# Seven volumes, in pages of two.
volumes = sorted(create(n) for n in range(7))
wait("volume_available", *volumes)
pages = list(ec2.get_paginator("describe_volumes").paginate(Filters=MINE, PaginationConfig={"PageSize": 2}))
equal([len(p["Volumes"]) for p in pages], [2, 2, 2, 1])
equal([v["VolumeId"] for p in pages for v in p["Volumes"]], volumes)
equal({v["VolumeType"] for p in pages for v in p["Volumes"]}, {"gp3"})
some = ec2.get_paginator("describe_volumes").paginate(Filters=MINE, PaginationConfig={"PageSize": 2, "MaxItems": 3})
equal(len(some.build_full_result()["Volumes"]), 3)
rest = ec2.get_paginator("describe_volumes").paginate(
    Filters=MINE, PaginationConfig={"PageSize": 2, "StartingToken": some.resume_token}
)
equal(len(rest.build_full_result()["Volumes"]), 4)
equal(len(list(resource.volumes.filter(Filters=MINE))), 7)
for operation, key in (("describe_tags", "Tags"), ("describe_instances", "Reservations"), ("describe_volume_status", "VolumeStatuses")):
    listed = ec2.get_paginator(operation).paginate(PaginationConfig={"PageSize": 5}).build_full_result()[key]
    assert listed, f"{operation} lists nothing"

# The same token makes one volume.
token = uuid.uuid4().hex
twin = create("twin", ClientToken=token)
equal(create("twin", ClientToken=token), twin)
refused("IdempotentParameterMismatch", create, number="other", ClientToken=token)
wait("volume_available", twin)
volumes.append(twin)

# Tags.
first = resource.Volume(volumes[0])
first.create_tags(Tags=[{"Key": "a", "Value": "<1 & 2>"}, {"Key": "b", "Value": ""}])
equal(tags_of(first.id), {"a": "<1 & 2>", "b": ""})
ec2.delete_tags(Resources=[first.id], Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
equal(tags_of(first.id), {"a": "<1 & 2>"})
ec2.delete_tags(Resources=[first.id], Tags=[{"Key": "a"}])
equal(tags_of(first.id), {})
refused("InvalidParameterValue", ec2.create_tags, Resources=[first.id], Tags=[{"Key": "aws:x", "Value": ""}])
refused("TagLimitExceeded", ec2.create_tags, Resources=[first.id], Tags=[{"Key": str(n), "Value": ""} for n in range(49)])

# Attached, in good health, grown.
first.attach_to_instance(InstanceId=instance, Device="/dev/sdx")
wait("volume_in_use", first.id)
for _ in range(30):
    first.reload()
    if first.attachments[0]["State"] == "attached":
        break
    time.sleep(1)
attached = [
    {"Name": "attachment.instance-id", "Values": [instance]},
    {"Name": "attachment.device", "Values": ["/dev/sdx"]},
    {"Name": "attachment.status", "Values": ["attached"]},
]
equal([v["VolumeId"] for v in ec2.describe_volumes(Filters=attached)["Volumes"]], [first.id])
by_disk = [{"Name": "block-device-mapping.volume-id", "Values": [first.id]}]
equal(ec2.describe_instances(Filters=by_disk)["Reservations"][0]["Instances"][0]["InstanceId"], instance)
status = ec2.describe_volume_status(VolumeIds=[first.id])["VolumeStatuses"][0]
equal(status["VolumeStatus"]["Status"], "ok")
equal(status["Events"], [])
equal(ec2.modify_volume(VolumeId=first.id, Size=3)["VolumeModification"]["TargetSize"], 3)
for _ in range(30):
    growth = ec2.describe_volumes_modifications(VolumeIds=[first.id])["VolumesModifications"][0]
    if growth["ModificationState"] == "completed":
        break
    time.sleep(1)
equal((growth["ModificationState"], growth["OriginalSize"], growth["Progress"]), ("completed", 1, 100))
first.reload()
equal(first.size, 3)
refused("InvalidParameterValue", ec2.modify_volume, VolumeId=first.id, Size=2)
refused("InvalidParameterValue", ec2.modify_volume, VolumeId=first.id, Size=3, **ONCE_MORE)

# Errors.
refused("VolumeInUse", ec2.delete_volume, VolumeId=first.id, **ONCE_MORE)
refused("VolumeInUse", ec2.attach_volume, VolumeId=first.id, InstanceId=instance, Device="/dev/sdy")
refused("InvalidVolume.NotFound", ec2.describe_volumes, VolumeIds=["vol-00000000"])
refused("InvalidVolumeID.Malformed", ec2.describe_volumes, VolumeIds=["vol-1"])
refused("InvalidInstanceID.NotFound", ec2.describe_instances, InstanceIds=["i-00000000"])
refused("InvalidZone.NotFound", ec2.create_volume, AvailabilityZone="nowhere", Size=1)
refused("InvalidParameterValue", ec2.describe_volumes, Filters=[{"Name": "colour", "Values": ["red"]}])
refused("InvalidNextToken", ec2.describe_volumes, NextToken="guess")
refused("UnsupportedOperation", ec2.create_volume, AvailabilityZone=zone, Size=1, Encrypted=True)
refused("InvalidSnapshot.NotFound", ec2.create_volume, AvailabilityZone=zone, Size=1, SnapshotId="snap-00000000")
refused("InvalidAction", ec2.describe_images)
refused("DryRunOperation", ec2.delete_volume, VolumeId=volumes[1], DryRun=True)

# And away.
first.detach_from_instance(InstanceId=instance, Device="/dev/sdx")
wait("volume_available", first.id)
for volume in volumes:
    ec2.delete_volume(VolumeId=volume)
for volume in volumes:
    wait("volume_deleted", volume)
equal(ec2.describe_volumes(Filters=MINE)["Volumes"], [])
equal(ec2.describe_tags(Filters=[{"Name": "value", "Values": [SUITE]}])["Tags"], [])
print("done")
