package fetch_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/firmware/fetch"
)

// A fetcher notes what it is asked for.
type fetcher struct {
	asked []string
	limit int64
	data  []byte
	err   error
}

func (f *fetcher) Fetch(_ context.Context, name string, limit int64) ([]byte, error) {
	f.asked, f.limit = append(f.asked, name), limit
	return f.data, f.err
}

func TestRepositoryNamesFiles(t *testing.T) {
	f := &fetcher{data: []byte("x")}
	director, image := fetch.Repository(f, "director"), fetch.Repository(f, "image")
	for _, ask := range []struct {
		source  signed.Source
		role    string
		version int64
	}{{director, signed.Root, 1}, {director, signed.Timestamp, 0}, {image, signed.Targets, 1 << 53}, {image, "ecu-7", 12}, {image, strings.Repeat("a", 64), 1}} {
		got, err := ask.source.Fetch(t.Context(), ask.role, ask.version, 1000)
		require.NoError(t, err)
		require.Equal(t, []byte("x"), got)
	}
	require.Equal(t, int64(1000), f.limit)
	require.Equal(t, []string{"director/1.root.json", "director/timestamp.json", "image/9007199254740992.targets.json", "image/12.ecu-7.json",
		"image/1." + strings.Repeat("a", 64) + ".json"}, f.asked)
	for _, name := range f.asked {
		require.NoError(t, fetch.CheckName(name))
	}
}

// TestRepositoryRefusesRoles: names of roles come from metadata. Such a role is
// not one that the repository has not.
func TestRepositoryRefusesRoles(t *testing.T) {
	f := new(fetcher)
	for _, role := range []string{"", "..", "../image", "a/b", "a.b", "A", "a b", "ä", "a\x00", "\xff", strings.Repeat("a", 65)} {
		_, err := fetch.Repository(f, "image").Fetch(t.Context(), role, 1, 1000)
		require.ErrorContains(t, err, "no file can be named after it", "%q", role)
		require.NotErrorIs(t, err, fs.ErrNotExist)
	}
	require.Empty(t, f.asked)
}

func TestRepositoryNamesAttacks(t *testing.T) {
	f := &fetcher{}
	source := fetch.Repository(f, "image")
	for _, test := range []struct {
		err  error
		want string
	}{
		{fetch.TooLong("image/3.targets.json", 1000), "image: targets: endless data: more than 1000 bytes"},
		{fetch.TooSlow("image/3.targets.json"), "image: targets: slow retrieval: no new block in 1m0s, expected at least 1 KiB/s"},
	} {
		var named *signed.Error
		require.ErrorAs(t, test.err, &named)
		require.Equal(t, []string{"image", "3.targets.json"}, []string{named.Repository, named.Role})
		f.err = test.err
		_, err := source.Fetch(t.Context(), signed.Targets, 3, 1000)
		require.EqualError(t, err, test.want)
		require.ErrorAs(t, err, &named)
	}
	f.err = errors.Join(fs.ErrNotExist)
	_, err := source.Fetch(t.Context(), signed.Targets, 3, 1000)
	require.ErrorIs(t, err, fs.ErrNotExist)
}
