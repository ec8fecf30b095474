package process_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"roadseal/cmd/internal/bench/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func shell(t *testing.T, script string) process.Program {
	return process.Program{Name: "shell", Path: "/bin/sh", Args: []string{"-c", script}, Logs: t.TempDir()}
}

func start(t *testing.T, p process.Program) *process.Process {
	t.Helper()
	q, err := process.Start(p)
	require.NoError(t, err)
	return q
}

func TestStopIsGentle(t *testing.T) {
	p := shell(t, `trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done`)
	q := start(t, p)
	_, err := q.Line(t.Context(), "ready")
	require.NoError(t, err)
	took, err := q.Stop(time.Minute)
	require.NoError(t, err)
	require.Less(t, took, time.Minute)
	require.Positive(t, q.PeakMemory())
	log, err := os.ReadFile(filepath.Join(p.Logs, "shell.log"))
	require.NoError(t, err)
	require.Equal(t, "ready\nbye\n", string(log))
}

func TestStopOfOneThatDoesNotListen(t *testing.T) {
	q := start(t, shell(t, `trap '' TERM; echo ready; while :; do sleep 0.01; done`))
	_, err := q.Line(t.Context(), "ready")
	require.NoError(t, err)
	_, err = q.Stop(50 * time.Millisecond)
	require.ErrorContains(t, err, "shell did not end within 50ms of SIGTERM")
	<-q.Ended()
}

func TestStopReportsStatus(t *testing.T) {
	q := start(t, shell(t, `trap 'echo trouble; exit 3' TERM; echo ready; while :; do sleep 0.01; done`))
	_, err := q.Line(t.Context(), "ready")
	require.NoError(t, err)
	_, err = q.Stop(time.Minute)
	require.EqualError(t, err, "shell ended: exit status 3; its log ends with: ready | trouble")
}

func TestKillAndStartAgain(t *testing.T) {
	p := shell(t, `echo "address $$"; exec sleep 100`)
	q := start(t, p)
	first, err := q.Line(t.Context(), "address ")
	require.NoError(t, err)
	require.NoError(t, q.Kill())
	require.Error(t, q.Kill(), "it is dead already")

	q = start(t, p)
	second, err := q.Line(t.Context(), "address ")
	require.NoError(t, err)
	require.NotEqual(t, first, second, "the line of the first must not be taken for that of the second")
	require.NoError(t, q.Kill())
}

func TestOneThatDiesByItself(t *testing.T) {
	q := start(t, shell(t, `echo one; echo two; echo three; echo four >&2; exit 2`))
	_, err := q.Line(t.Context(), "address ")
	require.EqualError(t, err, "shell ended: exit status 2; its log ends with: two | three | four")
	require.ErrorContains(t, q.Kill(), "exit status 2")
	_, err = q.Stop(time.Second)
	require.ErrorContains(t, err, "exit status 2")
}

func TestLineGivesUpWithItsContext(t *testing.T) {
	q := start(t, shell(t, `printf 'address without an end'; exec sleep 100`))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := q.Line(ctx, "address ")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, q.Kill())
}

func TestCannotStart(t *testing.T) {
	_, err := process.Start(process.Program{Name: "agent", Path: "/gone", Logs: t.TempDir()})
	require.ErrorContains(t, err, "cannot start agent: ")
	_, err = process.Start(process.Program{Name: "agent", Path: "/bin/true", Logs: "/gone"})
	require.ErrorContains(t, err, "cannot write the log of agent: ")
}
