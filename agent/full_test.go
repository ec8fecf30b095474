package agent_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent"
	"roadseal/agent/config"
	"roadseal/agent/health"
)

// onSmallDisk puts the unit's state on a tmpfs of 2 MiB and returns its path.
func (u *unit) onSmallDisk() (small string) {
	u.t.Helper()
	small = u.t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=2m"); err != nil {
		u.t.Skipf("this user cannot mount a small disk: %v", err)
	}
	u.t.Cleanup(func() { require.NoError(u.t, syscall.Unmount(small, 0)) })
	u.configure(`state = "state"`, `state = "`+small+`/state"`, `keep_free = "1MB"`, "")
	return small
}

// TestAFullDiskAtTheStartStillUploads: the agent starts, says what is amiss, and
// begins anew once there is room.
func TestAFullDiskAtTheStartStillUploads(t *testing.T) {
	u := newUnit(t)
	small := u.onSmallDisk()
	c, err := config.Load(filepath.Join(u.dir, "agent.toml"))
	require.NoError(t, err)
	o := agent.Options{Config: c, Version: "test", Build: build, Log: slog.New(slog.DiscardHandler)}
	a, err := agent.New(o)
	require.NoError(t, err)
	require.NoError(t, a.Close())
	fill, err := os.Create(filepath.Join(small, "fill"))
	require.NoError(t, err)
	_, err = io.Copy(fill, zeros{})
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, fill.Close())

	a, err = agent.New(o)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	u.until("said", func(s *health.Status) bool {
		return strings.Contains(strings.Join(s.Problems, ";"), "the disk was full at the start")
	})
	require.NoError(t, os.Remove(fill.Name()))
	require.ErrorIs(t, <-done, agent.ErrAgain)
	require.NoError(t, a.Close())
	a, err = agent.New(o)
	require.NoError(t, err)
	require.NoError(t, a.Close())
	require.NotEmpty(t, c.Cameras, "the configuration was not touched")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestAReadOnlyDiskStillUploads: the usual end of worn flash. The agent runs,
// says what is amiss, and stops clean.
func TestAReadOnlyDiskStillUploads(t *testing.T) {
	u := newUnit(t)
	small := u.onSmallDisk()
	_, stop := u.start()
	require.NoError(t, stop())
	require.NoError(t, syscall.Mount("tmpfs", small, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))

	c, err := config.Load(filepath.Join(u.dir, "agent.toml"))
	require.NoError(t, err)
	a, err := agent.New(agent.Options{Config: c, Version: "test", Build: build, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	u.until("said", func(s *health.Status) bool { return strings.Contains(strings.Join(s.Problems, ";"), "is read-only") })
	cancel()
	require.NoError(t, <-done)
	require.NoError(t, a.Close())
}
