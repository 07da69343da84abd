// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// callTimeout is how long one call may take; the CLC gives up sooner. The calls write
// down or read what is wished, and ask machines what a list of paths would mean; what
// becomes of a wish is asked for by further calls.
const callTimeout = 30 * time.Second

// cloud is what the tool needs of the CLC.
type cloud struct {
	volumes
	growth
	tags
	fleet
	properties
	backups
}

type volumes interface {
	EachVolume(ctx context.Context, q client.VolumeQuery) iter.Seq2[mallee.Volume, error]
	Volume(ctx context.Context, id mallee.VolumeID) (mallee.Volume, error)
	VolumeStatus(ctx context.Context, id mallee.VolumeID) (client.VolumeStatus, error)
	CreateVolume(ctx context.Context, spec mallee.VolumeSpec) (mallee.Volume, error)
	DeleteVolume(ctx context.Context, id mallee.VolumeID) error
	AttachVolume(ctx context.Context, id mallee.VolumeID, instance mallee.InstanceID, device string) (mallee.Attachment, error)
	DetachVolume(ctx context.Context, id mallee.VolumeID, instance mallee.InstanceID, device string) (mallee.Attachment, error)
}

type growth interface {
	ResizeVolume(ctx context.Context, id mallee.VolumeID, sizeGiB int) (mallee.Modification, error)
	Modification(ctx context.Context, id mallee.VolumeID) (*mallee.Modification, error)
}

type tags interface {
	Tags(ctx context.Context, id string) (map[string]string, error)
	AddTags(ctx context.Context, id string, tags map[string]string) error
	RemoveTags(ctx context.Context, id, key string, more ...string) error
}

type fleet interface {
	Partitions(ctx context.Context) ([]mallee.Partition, error)
	Nodes(ctx context.Context) ([]mallee.Node, error)
	Paths(ctx context.Context, ids ...mallee.VolumeID) ([]mallee.Path, error)
	CreateJoinToken(ctx context.Context, spec mallee.JoinTokenSpec) (mallee.JoinToken, error)
	RemoveNode(ctx context.Context, id mallee.InstanceID) error
}

type properties interface {
	Properties(ctx context.Context, prefixes ...string) ([]mallee.Property, error)
	SetProperties(ctx context.Context, sets []mallee.PropertySet, force bool) (changes []mallee.PropertyChange, warnings []string, err error)
	PropertyHistory(ctx context.Context, prefixes []string, most int) ([]mallee.PropertyEvent, error)
	CheckPaths(ctx context.Context, name string, value *string, probe bool) (mallee.PathCheck, error)
}

type backups interface {
	Backup(ctx context.Context, w io.Writer) error
	Restore(ctx context.Context, backup io.ReadSeeker, force bool) (client.Restored, error)
}

// call runs one call with a deadline of its own.
func call[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return f(ctx)
}
