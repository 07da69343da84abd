// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"strings"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

// fault maps an error of the cloud to EC2's codes ("EC2 API Reference: Error
// codes"). This is the only place that does.
func fault(e *mallee.Error) *query.Fault {
	switch e.Kind {
	case mallee.NotFound:
		return notFound(e.ID)
	case mallee.Malformed:
		return malformed(e.ID)
	}
	return &query.Fault{Code: code(e.Kind), Message: message(e)}
}

func code(k mallee.Kind) string {
	switch k {
	case mallee.Invalid:
		return "InvalidParameterValue"
	case mallee.InUse:
		return "VolumeInUse"
	case mallee.NotAttached:
		return "InvalidAttachment.NotFound"
	case mallee.IncorrectState:
		return "IncorrectState"
	case mallee.Modifying:
		return "IncorrectModificationState"
	case mallee.PathsUnreachable:
		return "PathsUnreachable"
	case mallee.TooMany:
		return "TagLimitExceeded"
	case mallee.OverLimit:
		return "VolumeLimitExceeded"
	case mallee.ZoneMismatch:
		return "InvalidVolume.ZoneMismatch"
	case mallee.Exhausted:
		return "InsufficientVolumeCapacity"
	case mallee.ReadOnly:
		return "OperationNotPermitted"
	case mallee.Mismatch:
		return "IdempotentParameterMismatch"
	case mallee.Denied:
		return "UnauthorizedOperation"
	case mallee.Unavailable:
		return "Unavailable"
	}
	return "InternalError"
}

func message(e *mallee.Error) string {
	if e.Hint == "" {
		return e.Error()
	}
	return e.Error() + ". " + e.Hint
}

// notFound returns the fault for what ids, of one kind, name: volumes,
// instances, else zones.
func notFound(ids ...string) *query.Fault {
	all := strings.Join(ids, ", ")
	switch several := len(ids) > 1; {
	case strings.HasPrefix(all, "vol-") && several:
		return query.Faultf("InvalidVolume.NotFound", "The volumes '%s' do not exist.", all)
	case strings.HasPrefix(all, "vol-"):
		return query.Faultf("InvalidVolume.NotFound", "The volume '%s' does not exist.", all)
	case strings.HasPrefix(all, "i-") && several:
		return query.Faultf("InvalidInstanceID.NotFound", "The instance IDs '%s' do not exist", all)
	case strings.HasPrefix(all, "i-"):
		return query.Faultf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", all)
	}
	return query.Faultf("InvalidZone.NotFound", "The zone '%s' does not exist.", all)
}

// malformed returns the fault for an id that begins as it should and goes wrong later.
func malformed(id string) *query.Fault {
	switch {
	case strings.HasPrefix(id, "vol-"):
		return query.Faultf("InvalidVolumeID.Malformed", "Invalid id: \"%s\" (expecting \"vol-...\")", id)
	case strings.HasPrefix(id, "i-"):
		return query.Faultf("InvalidInstanceID.Malformed", "Invalid id: \"%s\" (expecting \"i-...\")", id)
	}
	return query.Faultf("InvalidParameterValue", "Invalid id: \"%s\"", id)
}

func checkVolumeID(id string) error {
	switch {
	case mallee.VolumeID(id).Valid():
		return nil
	case strings.HasPrefix(id, "vol-"):
		return malformed(id)
	}
	return query.BadValue("VolumeId", id, "Expected: 'vol-...'.")
}

func checkInstanceID(id string) error {
	switch {
	case mallee.InstanceID(id).Valid():
		return nil
	case strings.HasPrefix(id, "i-"):
		return malformed(id)
	}
	return query.BadValue("InstanceId", id, "Expected: 'i-...'.")
}

// checkIDs checks each id of a list but "verbose". That word in place of an id
// makes the original show what all accounts have to an administrator; every
// caller here is one so far and sees it anyway.
func checkIDs(ids []string, check func(string) error) error {
	for _, id := range ids {
		if id == verbose {
			continue
		}
		if err := check(id); err != nil {
			return err
		}
	}
	return nil
}
