// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
)

// Usage is how full the store is.
type Usage struct {
	Bytes      int64  // that etcd's database has, old revisions included
	QuotaBytes int64  // that it may have
	Embedded   bool   // whether etcd runs in this process
	DiskFree   uint64 // bytes free on the disk of an embedded etcd
}

// Usage asks etcd how full it is, an external one's members in turn.
func (s *Store) Usage(ctx context.Context) (u Usage, err error) {
	if u.Embedded = s.room != nil; u.Embedded {
		if u.DiskFree, err = s.room.free(); err != nil {
			return u, err
		}
	}
	endpoints := s.client.Endpoints()
	if u.Embedded {
		endpoints = []string{""} // the one in this process
	}
	var errs []error
	for _, e := range endpoints {
		ctx, cancel := context.WithTimeout(ctx, tryTimeout)
		status, err := s.client.Status(ctx, e)
		cancel()
		if err == nil {
			u.Bytes, u.QuotaBytes = status.DbSize, status.DbSizeQuota
			return u, nil
		}
		errs = append(errs, err)
	}
	return u, failure("ask the store how full it is", errors.Join(errs...))
}
