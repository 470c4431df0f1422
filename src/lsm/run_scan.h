// run_scan.h - the files of one run as a sequence of chunks: which columns to read, under which
// names.
#pragma once

#include "lsm/levels.h"
#include "lsm/merge_reader.h"
#include "lsm/schema_mapping.h"

namespace millrace {

/// The physical columns that a reader needs, each once, and where it finds them in a chunk.
struct ReadPlan {
  std::vector<FileColumn> columns;
  std::vector<idx_t> key;  // Chunk columns of the key (empty in raw plans that need none).
  std::vector<idx_t> sequence_fields;
  bool sequence_descending = false;
  idx_t sequence = duckdb::DConstants::INVALID_INDEX;
  idx_t kind = duckdb::DConstants::INVALID_INDEX;
  std::vector<idx_t> output;         // Chunk column of each output column.
  std::vector<idx_t> of_field;       // Chunk column of each field of the layout, where it is read.
  std::vector<FilePredicate> prune;  // Columns index `columns`.

  /// Keys can be compared as int64.
  bool HasIntegerKey() const;
  bool HasKind() const { return kind != duckdb::DConstants::INVALID_INDEX; }
  duckdb::vector<LogicalType> Types() const;
};

/// What rows go to the output as they are: raw reads.
ReadPlan PlanRawRead(const KeyValueLayout& layout, const std::vector<DataFileMeta>& files,
                     const MergeReadOptions& options);
/// What is needed to compare rows (key, sequences, kind), for the output and for `needed` fields.
ReadPlan PlanMerge(const KeyValueLayout& layout, const MergeReadOptions& options,
                   const std::vector<idx_t>& needed);
/// Whether some file may hold rows of kind -U or -D.
bool MayHoldDeletes(const std::vector<DataFileMeta>& files);

/// Reads files one after the other.
/// Threads: one at a time. Throws: Error(kCorrupt) naming the file; Error(kNotFound).
class RunScan {
 public:
  RunScan(const LsmContext& context, const KeyValueLayout& layout, const std::string& folder,
          std::vector<DataFileMeta> files, const ReadPlan& plan, const MergeReadOptions& options)
      : context_(context),
        layout_(layout),
        folder_(folder),
        files_(std::move(files)),
        plan_(plan),
        options_(options) {
    if (options.HasKeyRange()) SetRange();
  }
  /// Fills `chunk` (of the plan's types); false after the last file.
  bool Next(DataChunk& chunk);
  /// The level of the file that the last chunk came from.
  int CurrentLevel() const { return next_file_ == 0 ? 0 : files_[next_file_ - 1].level; }
  /// For messages: the file that the last chunk came from.
  std::string CurrentPath() const;
  size_t CurrentFile() const { return next_file_ - 1; }

 private:
  void SetRange();
  void OpenFile(const DataFileMeta& file);
  const SchemaMapping* MappingOf(int64_t schema_id);
  bool ReadMapped(DataChunk& chunk);
  /// Cuts `chunk` to the keys wanted; false when none is left.
  bool CutToRange(DataChunk& chunk);
  /// The first row of `chunk` whose key is not below `bound`.
  idx_t FirstFrom(DataChunk& chunk, const std::string& bound) const;
  const LsmContext& context_;
  const KeyValueLayout& layout_;
  std::string folder_;
  std::vector<DataFileMeta> files_;
  const ReadPlan& plan_;
  const MergeReadOptions& options_;
  size_t next_file_ = 0;
  std::optional<KeyOrder> order_;  // When only a range of keys is wanted:
  std::string from_, below_;       // normalised, "": no bound.
  std::unique_ptr<ParquetFileReader> reader_;
  // Of files with another schema, by its id; the chunk holds what such a file gives.
  std::map<int64_t, std::unique_ptr<SchemaMapping>> mappings_;
  const SchemaMapping* mapping_ = nullptr;  // Of the open file, when it has something to convert.
  std::unique_ptr<DataChunk> file_rows_;
};

/// Sends chunks of a raw plan on as output: columns referenced, deletes left out.
/// False when nothing of `read` is left.
bool ReadToOutput(DataChunk& read, const ReadPlan& plan, bool drop_deletes, DataChunk& output);

}  // namespace millrace
