// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"iter"

	"github.com/spf13/cobra"
)

// pageRows is how many objects a listing prints at once, and at all without --all.
const pageRows = 100

// listing is a command that lists objects of one kind.
type listing[T any] struct {
	t      *tool
	what   string // "volumes"
	header []string
	row    func(T) []string
	record func(T) any
	// sum returns lines to print below the table; may be nil.
	sum func([]T) string
	// each returns the objects from the cloud, pageSize at a time where it can;
	// 0 leaves that to the client.
	each func(ctx context.Context, c cloud, pageSize int) iter.Seq2[T, error]

	all, watch bool
}

func (l *listing[T]) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&l.all, "all", false, fmt.Sprintf("list them all, not the first %d only", pageRows))
	watchFlag(cmd, &l.watch)
}

func (l *listing[T]) run(ctx context.Context) error {
	c, err := l.t.connect()
	if err != nil {
		return err
	}
	if l.all && !l.watch {
		return l.stream(ctx, c)
	}
	more := false
	err = l.t.show(ctx, l.watch, func(ctx context.Context) (result, error) {
		list, cut, err := l.head(ctx, c)
		more = cut
		return result{convert(list, l.record), func() string {
			text := table(l.header, convert(list, l.row))
			if l.sum != nil && !cut { // the sum of a part would be wrong
				text += l.sum(list)
			}
			return text
		}}, err
	})
	if err == nil && more {
		l.t.hint("these are the first %d %s; for the others: --all", pageRows, l.what)
	}
	return err
}

// head returns the objects that are listed without --all, or all with it, and
// whether there are more.
func (l *listing[T]) head(ctx context.Context, c cloud) (list []T, more bool, err error) {
	size := 0
	if !l.all {
		size = pageRows + 1 // one more than is printed, to know of it
	}
	for object, err := range l.each(ctx, c, size) {
		if err != nil {
			return nil, false, failure("list "+l.what, "", err)
		}
		if !l.all && len(list) == pageRows {
			return list, true, nil
		}
		list = append(list, object)
	}
	return list, false, nil
}
