// SPDX-License-Identifier: Apache-2.0

package auth

// Code is the reason of a refusal in EC2's words ("EC2 API Reference: Error
// codes"), so that stock clients know what to do about it.
type Code string

// The reasons. An unknown access key and a wrong signature are one, so that
// nobody can find out by trying which keys exist.
const (
	Missing       Code = "MissingAuthenticationToken" // not signed at all
	Incomplete    Code = "IncompleteSignature"        // signed, but not as the version prescribes
	Expired       Code = "RequestExpired"             // signed too long ago, or by a clock that is ahead
	Unsupported   Code = "UnsupportedOperation"       // signed in the URL where that is not allowed, or in another way than those there are
	Failure       Code = "AuthFailure"                // unknown key, wrong signature or wrong scope
	LimitExceeded Code = "RequestLimitExceeded"       // too many calls by one key, or failures from one source
	Timeout       Code = "RequestTimeout"             // the body came too slowly
	TooLarge      Code = "RequestEntityTooLarge"      // the body is over the limit
)

// Error is a refused request. Code and message may be shown to the caller.
type Error struct {
	Code    Code
	Message string
	// AccessKey is the key that the caller claims to have, for the log; empty
	// when the request was refused before it came to that.
	AccessKey string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }
