# SPDX-License-Identifier: Apache-2.0
"""Walks volumes through their whole life with stock boto3.

usage: walk.py ENDPOINT ZONE INSTANCE COUNT

It prints the ids of the volumes that it has made, one a line, and leaves none.
"""
import sys

import boto3
from botocore.exceptions import ClientError

endpoint, zone, instance, count = sys.argv[1:4] + [int(sys.argv[4])]
ec2 = boto3.client("ec2", endpoint_url=endpoint)
quick = {"Delay": 1, "MaxAttempts": 120}


def expect(code, call, **parameters):
    try:
        call(**parameters)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return
    raise AssertionError(f"{call.__name__}({parameters}) succeeded, want {code}")


ids = []
for n in range(count):
    made = ec2.create_volume(
        AvailabilityZone=zone, Size=1, VolumeType="gp3", ClientToken=f"walk-{n}",
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "walk", "Value": "boto3"}, {"Key": "n", "Value": str(n)}]}],
    )
    ids.append(made["VolumeId"])
    print(made["VolumeId"])
    again = ec2.create_volume(
        AvailabilityZone=zone, Size=1, VolumeType="gp3", ClientToken=f"walk-{n}",
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "walk", "Value": "boto3"}, {"Key": "n", "Value": str(n)}]}],
    )
    assert again["VolumeId"] == made["VolumeId"], again
expect("IdempotentParameterMismatch", ec2.create_volume, AvailabilityZone=zone, Size=2, ClientToken="walk-0")
expect("DryRunOperation", ec2.delete_volume, VolumeId=ids[0], DryRun=True)

mine = [{"Name": "tag:walk", "Values": ["boto3"]}]
ec2.get_waiter("volume_available").wait(VolumeIds=ids, WaiterConfig=quick)
pages = list(ec2.get_paginator("describe_volumes").paginate(Filters=mine, PaginationConfig={"PageSize": 5}))
assert sorted(v["VolumeId"] for p in pages for v in p["Volumes"]) == sorted(ids), pages

for n, volume in enumerate(ids):
    ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device=f"/dev/sd{chr(ord('p') + n)}")
expect("VolumeInUse", ec2.delete_volume, VolumeId=ids[0])
for volume in ids:
    ec2.get_waiter("volume_in_use").wait(VolumeIds=[volume], Filters=[{"Name": "attachment.status", "Values": ["attached"]}], WaiterConfig=quick)
disks = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["BlockDeviceMappings"]
assert set(ids) <= {d["Ebs"]["VolumeId"] for d in disks}, disks

ec2.create_tags(Resources=ids, Tags=[{"Key": "stage", "Value": "in use"}])
tags = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [ids[0]]}])["Tags"]
assert {t["Key"]: t["Value"] for t in tags} == {"walk": "boto3", "n": "0", "stage": "in use"}, tags
ec2.delete_tags(Resources=ids, Tags=[{"Key": "stage"}])
assert not ec2.describe_volumes(Filters=[{"Name": "tag-key", "Values": ["stage"]}])["Volumes"]

status = ec2.describe_volume_status(VolumeIds=ids)["VolumeStatuses"]
assert {s["VolumeId"] for s in status} == set(ids), status
zones = ec2.describe_availability_zones()["AvailabilityZones"]
assert [z["State"] for z in zones if z["ZoneName"] == zone] == ["available"], zones

for volume in ids:
    ec2.detach_volume(VolumeId=volume)
ec2.get_waiter("volume_available").wait(VolumeIds=ids, WaiterConfig=quick)
for volume in ids:
    ec2.delete_volume(VolumeId=volume)
for volume in ids:  # of several, the first to go would end the waiting
    ec2.get_waiter("volume_deleted").wait(VolumeIds=[volume], WaiterConfig=quick)
expect("InvalidVolume.NotFound", ec2.describe_volumes, VolumeIds=ids)
