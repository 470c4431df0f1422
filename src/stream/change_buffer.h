// change_buffer.h - changes that wait in a dataflow, in the order in which they came.
//
// With state on disk a dataflow takes many rows through in one round (sharded_run.h), more than fit
// beside the state. Then a buffer keeps the last of them in memory and the others in frames of a
// file, column by column, from which they come back as they were: the order in which operators get
// rows never depends on where those wait. A frame is
//   u32 rows | u8 has kinds | kinds
//   per column: u8 has NULLs | validity words | values, or u32 lengths and the texts' bytes
// It is read by the process that wrote it, so numbers are in the machine's order.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/change_chunk.h"
#include "io/scratch_file.h"

namespace millrace {

/// The file that the buffers of a dataflow share; it begins anew when nothing is left in it.
/// Threads: safe. Throws: Error(kIo) naming the folder.
class ChangeSpool {
 public:
  explicit ChangeSpool(std::unique_ptr<ScratchFile> file) : file_(std::move(file)) {}

  struct Frame {
    int64_t offset = 0;
    int64_t bytes = 0;
  };
  Frame Write(const std::string& bytes);
  void Read(const Frame& frame, std::string& bytes);
  /// So many frames will not be read again.
  void Forget(idx_t frames);

  /// Values of these types can lie in it: all but nested ones.
  static bool Takes(const duckdb::vector<LogicalType>& types);

 private:
  const std::unique_ptr<ScratchFile> file_;
  std::mutex mutex_;  // Guards the rest.
  int64_t end_ = 0;
  idx_t frames_ = 0;
};

/// Copies of changes, in chunks that are used again.
/// Threads: one at a time; without a spool several may read at once.
class ChangeBuffer {
 public:
  /// `chunk_rows`: what a chunk in memory holds, at most kChunkRows.
  ChangeBuffer(duckdb::vector<LogicalType> types, idx_t chunk_rows);

  /// Appends rows of the chunk: the first `count` that `selected` names, or all when it is null.
  void Append(const ChangeChunk& chunk, const SelectionVector* selected, idx_t count);
  idx_t Rows() const { return rows_; }
  idx_t Chunks() const { return frames_.size() + used_; }
  /// Valid until the next call.
  ChangeChunk& Chunk(idx_t i);
  /// Forgets the rows.
  void Clear();
  /// And gives the memory back.
  void Free();
  /// From here on rows go to the spool when there are about `most` in memory; null: they stay
  /// there. The spool outlives the rows. REQUIRES: the buffer is empty.
  void SetSpool(ChangeSpool* spool, idx_t most);

 private:
  ChangeChunk& WithRoom();
  void Spool();
  void PutColumn(idx_t column);

  const duckdb::vector<LogicalType> types_;
  const idx_t chunk_rows_;
  const bool can_spool_;
  std::vector<std::unique_ptr<ChangeChunk>> chunks_;
  idx_t used_ = 0;
  idx_t rows_ = 0;
  ChangeSpool* spool_ = nullptr;
  idx_t most_chunks_ = 1;                    // In memory.
  std::vector<ChangeSpool::Frame> frames_;   // The rows before those in memory.
  bool being_read_ = false;                  // So chunks keep their numbers.
  std::string bytes_;                        // Of the frame at hand.
  std::unique_ptr<ChangeChunk> from_frame_;  // Texts lie in bytes_.
};

}  // namespace millrace
