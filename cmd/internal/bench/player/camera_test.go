package player_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/player"
	"roadseal/testdata/segments"
)

func play(t *testing.T, c player.Camera, plan []player.Segment) []player.Clip {
	t.Helper()
	got, err := c.Play(t.Context(), plan, player.Clock{Start: time.Now(), Speed: 10})
	require.NoError(t, err)
	return got
}

// TestFilesGrowAndAreClosed looks at the folder all through a drive in virtual
// time.
func TestFilesGrowAndAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, begin := t.TempDir(), time.Now()
		samples, err := player.Samples(segments.Files)
		require.NoError(t, err)
		plan := player.Plan(samples, 1, 80*time.Second, noon)
		var story []string
		tell := func(what string, s player.Segment) {
			story = append(story, fmt.Sprintf("%s %s %.1f", what, s.Name[16:18], time.Since(begin).Seconds()))
		}
		c := player.Camera{Folder: dir, Samples: segments.Files, Mark: []byte("MARK"),
			Opened: func(s player.Segment) { tell("open", s) },
			Closed: func(s player.Segment, _ player.Clip) { tell("closed", s) },
		}
		sizes := make(chan int64, 5)
		go func() {
			defer close(sizes)
			for range 5 {
				time.Sleep(501 * time.Millisecond)
				if info, err := os.Stat(filepath.Join(dir, plan[0].Name)); err == nil {
					sizes <- info.Size()
				}
			}
		}()
		got := play(t, c, plan)

		require.Equal(t, []string{"open NF 0.0", "open NR 0.0", "closed NF 4.0", "closed NR 4.0", "open EF 4.0", "open ER 4.0", "closed EF 8.0", "closed ER 8.0"}, story)
		require.Len(t, sizes, 5)
		last := int64(0)
		for size := range sizes {
			require.Greater(t, size, last)
			last = size
		}
		for i, clip := range got {
			b, err := os.ReadFile(filepath.Join(dir, plan[i].Name))
			require.NoError(t, err)
			sample, err := segments.Files.ReadFile(plan[i].File)
			require.NoError(t, err)
			require.True(t, bytes.HasPrefix(b, sample))
			require.Equal(t, sha256.Sum256(b), clip.SHA256)
			require.Equal(t, int64(len(b)), clip.Size)
			require.Equal(t, plan[i].End/10, clip.Closed.Sub(begin))
			box := b[len(sample):]
			require.Len(t, box, int(binary.BigEndian.Uint32(box)), "one box up to the end")
			require.Equal(t, fmt.Sprintf("freeMARK %d\n", i), string(box[4:]))
		}
	})
}

func TestTransportStreamStaysOne(t *testing.T) {
	packet := append([]byte{0x47, 0, 0, 0x10}, make([]byte, 184)...)
	fsys := fstest.MapFS{"a.ts": {Data: bytes.Repeat(packet, 20)}}
	synctest.Test(t, func(t *testing.T) {
		c := player.Camera{Folder: t.TempDir(), Samples: fsys, Mark: bytes.Repeat([]byte("MARK"), 60)}
		samples, err := player.Samples(fsys)
		require.NoError(t, err)
		plan := player.Plan(samples, 1, time.Second, noon)
		clips := play(t, c, plan)
		b, err := os.ReadFile(filepath.Join(c.Folder, plan[0].Name))
		require.NoError(t, err)
		require.Zero(t, len(b)%188)
		require.Len(t, b, int(clips[0].Size))
		for p := range len(b) / 188 {
			require.Equal(t, byte(0x47), b[p*188])
		}
		require.Equal(t, []byte{0x47, 0x1f, 0xff, 0x10}, b[20*188:][:4])
	})
}

// TestNoTwoAlike: the same sample played twice has different bytes.
func TestNoTwoAlike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		samples := []player.Sample{{"normal-front.mp4", player.Normal, player.Front}}
		c := player.Camera{Folder: t.TempDir(), Samples: segments.Files, Mark: []byte("MARK")}
		got := play(t, c, player.Plan(samples, 3, time.Minute, noon))
		require.NotEqual(t, got[0].SHA256, got[1].SHA256)
		require.NotEqual(t, got[1].SHA256, got[2].SHA256)
	})
}

// TestLocks follows one clip for each way: what the folder holds at the end, and
// that nobody locks before the delivery.
func TestLocks(t *testing.T) {
	for how, want := range map[player.How][]string{
		player.Move: {"RO/a.mp4"}, player.Copy: {"RO/a.mp4", "ring/a.mp4"}, player.Link: {"RO/a.mp4", "ring/a.mp4"},
	} {
		synctest.Test(t, func(t *testing.T) {
			dir, begin := t.TempDir(), time.Now()
			plan := []player.Segment{{Name: "ring/a.mp4", Content: []byte("clip"), End: 10 * time.Second,
				Lock: &player.Lock{How: how, To: "RO/a.mp4", At: 20 * time.Second}}}
			c := player.Camera{Folder: dir, Delivered: func(_ context.Context, s player.Segment) error {
				require.Equal(t, 2*time.Second, time.Since(begin))
				require.FileExists(t, filepath.Join(dir, s.Name))
				require.NoFileExists(t, filepath.Join(dir, s.Lock.To))
				return nil
			}}
			play(t, c, plan)
			var got []string
			require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
				if !d.IsDir() {
					rel, _ := filepath.Rel(dir, path)
					got = append(got, rel)
					b, err := os.ReadFile(path)
					require.NoError(t, err)
					require.Equal(t, "clip", string(b))
				}
				return err
			}))
			require.Equal(t, want, got)
			if how == player.Link {
				a, err := os.Stat(filepath.Join(dir, got[0]))
				require.NoError(t, err)
				b, err := os.Stat(filepath.Join(dir, got[1]))
				require.NoError(t, err)
				require.True(t, os.SameFile(a, b))
			}
			c.Delivered = func(context.Context, player.Segment) error { return context.DeadlineExceeded }
			c.Folder = t.TempDir()
			_, err := c.Play(t.Context(), plan, player.Clock{Start: time.Now(), Speed: 10})
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
	}
}

// TestMovedFile: it is the file that was there, under its new name.
func TestMovedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		clips := play(t, player.Camera{Folder: dir}, []player.Segment{{Name: "ring/a", Content: []byte("clip")}, {Name: "RO/a", From: "ring/a", Begin: time.Second, End: time.Second}})
		require.NoFileExists(t, filepath.Join(dir, "ring/a"))
		require.FileExists(t, filepath.Join(dir, "RO/a"))
		require.Equal(t, clips[0].SHA256, clips[1].SHA256)
		require.Equal(t, clips[0].Size, clips[1].Size)
	})
}

// TestNamesOfAnOpenFile: it has another name, or a lock file beside it, until
// it is closed; a power cut takes its end.
func TestNamesOfAnOpenFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		content := bytes.Repeat([]byte("x"), 800)
		plan := []player.Segment{{Name: "RO/a", Opened: "ring/a", Content: content, End: time.Second}, {Name: "b", LockFile: true, Content: content, End: time.Second},
			{Name: "c", Cut: true, Content: content, End: time.Second}}
		c := player.Camera{Folder: dir, Opened: func(s player.Segment) {
			if s.Opened != "" {
				require.FileExists(t, filepath.Join(dir, s.Opened))
				require.NoFileExists(t, filepath.Join(dir, s.Name))
			}
			if s.LockFile {
				require.FileExists(t, filepath.Join(dir, s.Name+".lock"))
			}
		}}
		clips := play(t, c, plan)
		require.NoFileExists(t, filepath.Join(dir, "ring/a"))
		require.NoFileExists(t, filepath.Join(dir, "b.lock"))
		for i, size := range []int64{800, 800, 700} {
			b, err := os.ReadFile(filepath.Join(dir, plan[i].Name))
			require.NoError(t, err)
			require.Len(t, b, int(size))
			require.Equal(t, size, clips[i].Size)
			require.Equal(t, sha256.Sum256(b), clips[i].SHA256)
		}
	})
}

// TestStampOfBareVideo: it is one NAL unit more, of a type that decoders pass
// over.
func TestStampOfBareVideo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mark := bytes.Repeat([]byte("MARK"), 100)
		c := player.Camera{Folder: t.TempDir(), Samples: segments.Files, Mark: mark}
		play(t, c, []player.Segment{{Sample: player.Sample{File: "streams/front.hevc"}, Name: "a.hevc", End: time.Second}})
		b, err := os.ReadFile(filepath.Join(c.Folder, "a.hevc"))
		require.NoError(t, err)
		sample, err := segments.Files.ReadFile("streams/front.hevc")
		require.NoError(t, err)
		unit := b[len(sample):]
		text := append(mark, " 0\n"...)
		require.Equal(t, []byte{0, 0, 0, 1, 40 << 1, 1, 5, 255, byte(16 + len(text) - 255)}, unit[:9])
		require.Equal(t, text, unit[9+16:len(unit)-1])
	})
}

func TestCameraErrors(t *testing.T) {
	plan := player.Plan([]player.Sample{{"normal-front.mp4", player.Normal, player.Front}}, 1, time.Second, noon)
	clock := player.Clock{Start: time.Now(), Speed: 1000}

	_, err := player.Camera{Folder: "/gone", Samples: segments.Files}.Play(t.Context(), plan, clock)
	require.ErrorContains(t, err, "cannot write into the recorder's folder")
	_, err = player.Camera{Folder: t.TempDir(), Samples: clips()}.Play(t.Context(), plan, clock)
	require.ErrorContains(t, err, "cannot read a clip")

	ctx, cancel := context.WithCancel(t.Context())
	c := player.Camera{Folder: t.TempDir(), Samples: segments.Files, Opened: func(player.Segment) { cancel() }}
	_, err = c.Play(ctx, plan, clock)
	require.ErrorIs(t, err, context.Canceled)
}
