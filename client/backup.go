// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// transferTimeout bounds a transfer whose context has no earlier deadline.
const transferTimeout = 15 * time.Minute

// Restored is what a backup holds that was accepted.
type Restored struct {
	Created     time.Time `json:"created"` // when the backup was taken
	Volumes     int       `json:"volumes"`
	Attachments int       `json:"attachments"`
	Nodes       int       `json:"nodes"`
}

// Backup writes a backup of the cloud controller to w. It holds secrets: access
// keys and the key of the certificate authority. After an error what was written
// is not a whole backup.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, transferTimeout)
	defer cancel()
	answer, err := c.transfer(ctx, http.MethodGet, "/v1/backup", http.NoBody, 0, sha256.New())
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(w, answer.Body); err != nil {
		return fmt.Errorf("cannot transfer the backup: %w", err)
	}
	return nil
}

// Restore has the cloud controller replace what it holds by a backup, which is
// read twice: a request is signed with the hash of its body. Without force the
// controller refuses when it holds anything that people would miss. It answers
// when the backup is checked and stored, and then starts anew with it.
func (c *Client) Restore(ctx context.Context, backup io.ReadSeeker, force bool) (Restored, error) {
	ctx, cancel := context.WithTimeout(ctx, transferTimeout)
	defer cancel()
	sum := sha256.New()
	length, err := io.Copy(sum, backup)
	if err == nil {
		_, err = backup.Seek(-length, io.SeekCurrent)
	}
	if err != nil {
		return Restored{}, fmt.Errorf("cannot read the backup: %w", err)
	}
	path := "/v1/restore"
	if force {
		path += "?force=true"
	}
	answer, err := c.transfer(ctx, http.MethodPost, path, io.LimitReader(backup, length), length, sum)
	if err != nil {
		return Restored{}, err
	}
	defer answer.Body.Close()
	var out Restored
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&out); err != nil {
		return Restored{}, fmt.Errorf("the answer is not the API's: %w", err)
	}
	return out, nil
}

// transfer makes a call whose body may be large. The caller closes the answer's.
func (c *Client) transfer(ctx context.Context, method, path string, body io.Reader, length int64, sum hash.Hash) (*http.Response, error) {
	answer, err := c.send(ctx, method, path, body, length, hex.EncodeToString(sum.Sum(nil)))
	if err == nil && answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	if err == nil {
		text, readErr := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
		if err = errors.Join(readErr, answer.Body.Close()); err == nil {
			return nil, newAPIError(answer.StatusCode, text)
		}
	}
	return nil, fmt.Errorf("cannot call %s at %s: %w", path, c.config.Endpoint, err)
}

func (c *Client) send(ctx context.Context, method, path string, body io.Reader, length int64, bodyHash string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.config.Endpoint+path, body)
	if err != nil {
		return nil, err
	}
	r.ContentLength = length
	r.Header.Set("X-Amz-Content-Sha256", bodyHash)
	r.Header.Set("Amz-Sdk-Invocation-Id", rand.Text())
	credentials := aws.Credentials{AccessKeyID: c.config.AccessKey, SecretAccessKey: c.config.SecretKey}
	if err := c.signer.SignHTTP(ctx, credentials, r, bodyHash, "mallee", c.config.Region, time.Now()); err != nil {
		return nil, err
	}
	return c.http.Do(r)
}
