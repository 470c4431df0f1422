#include "lsm/run_file_writer.h"

#include <ctime>

#include "base/error.h"
#include "meta/binary_row.h"
#include "meta/stats_collector.h"

namespace millrace {

namespace {

constexpr int kKeyStatsTruncate = 128;  // Whatever 'metadata.stats-mode' says.

std::vector<Value> KeyAt(DataChunk& chunk, idx_t key_columns, idx_t row) {
  std::vector<Value> key;
  for (idx_t i = 0; i < key_columns; i++) key.push_back(chunk.GetValue(i, row));
  return key;
}

}  // namespace

std::string DataFileNames::Next(const std::string& prefix) {
  return fmt::format("{}{}-{}.parquet", prefix, uuid_, counter_++);
}

int64_t LocalWallClockMs(Clock& clock) {
  int64_t now_ms = clock.NowMs();
  std::time_t seconds = now_ms / 1000;
  std::tm local{};
  localtime_r(&seconds, &local);
  return now_ms + local.tm_gmtoff * 1000;
}

struct RunFileWriter::State {
  LsmContext context;
  KeyValueLayout layout;
  DataFileNames& names;
  RunWriteOptions options;
  std::vector<FileColumn> columns;
  std::vector<DataType> covered_types;  // Value columns that may have statistics.
  std::vector<ColumnStatsMode> covered_modes;
  std::vector<idx_t> covered;  // Indexes into layout.fields.
  std::vector<std::string> covered_names;
  DataChunk covered_chunk;  // Refers to those columns of the chunk at hand.
  DataChunk file_chunk;     // Refers to the columns of the file.
  std::vector<DataFileMeta> finished;

  std::unique_ptr<ParquetFileWriter> writer;  // Of the file being written, described by the rest.
  std::unique_ptr<StatsCollector> key_stats;
  std::unique_ptr<StatsCollector> value_stats;
  std::unique_ptr<FileIndexBuilder> index;  // When the table has file indexes.
  DataFileMeta file;
  std::vector<Value> min_key;
  std::vector<Value> max_key;
  int64_t delete_rows = 0;
  bool open = false;  // `file` exists on disk and is not in `finished`.

  bool HasKey() const { return !layout.key.empty(); }

  void Prepare() {
    if (HasKey()) {
      columns = options.thin ? ThinColumns(layout.fields, layout.key)
                             : KeyValueColumns(layout.fields, layout.key);
    } else {
      for (const DataField& field : layout.fields) {
        columns.push_back({field.name, field.type, field.id});
      }
    }
    duckdb::vector<LogicalType> types;
    for (idx_t i = 0; i < layout.fields.size(); i++) {
      if (!HasStats(layout.fields[i].type)) continue;
      covered.push_back(i);
      covered_names.push_back(layout.fields[i].name);
      covered_types.push_back(layout.fields[i].type);
      covered_modes.push_back(options.stats.empty() ? ColumnStatsMode() : options.stats[i]);
      types.push_back(layout.fields[i].type.ToDuck());
    }
    if (!types.empty()) covered_chunk.InitializeEmpty(types);
    types.clear();
    for (const FileColumn& column : columns) types.push_back(column.type.ToDuck());
    file_chunk.InitializeEmpty(types);
  }

  void OpenFile() {
    file = DataFileMeta();
    file.file_name = names.Next(options.prefix);
    open = true;  // Even if creating it fails half way.
    writer = std::make_unique<ParquetFileWriter>(context.database, context.files, CurrentPath(),
                                                 columns, options.parquet);
    if (HasKey()) {
      key_stats = std::make_unique<StatsCollector>(layout.KeyTypes(), kKeyStatsTruncate);
    }
    value_stats = std::make_unique<StatsCollector>(covered_types, covered_modes);
    if (!options.indexes.empty()) {
      index = std::make_unique<FileIndexBuilder>(layout.fields, options.indexes);
    }
    min_key.clear();
    delete_rows = 0;
  }

  /// A file that stays is an orphan, which maintenance removes: no reason to hide the first error.
  void DeleteQuietly(const DataFileMeta& orphan) {
    for (const std::string& path : DataFilePaths(options.folder, orphan)) {
      try {
        context.files.Delete(path);
      } catch (const Error&) {
      }
    }
  }

  std::string CurrentPath() const { return JoinPath(options.folder, file.file_name); }

  void AddToStats(DataChunk& rows, idx_t first_value_column) {
    if (key_stats) key_stats->Add(rows, 0);
    if (index) index->Add(rows, first_value_column);
    if (covered.empty()) return;
    for (idx_t i = 0; i < covered.size(); i++) {
      covered_chunk.data[i].Reference(rows.data[first_value_column + covered[i]]);
    }
    covered_chunk.SetCardinality(rows.size());
    value_stats->Add(covered_chunk, 0);
  }

  void TrackSequence(int64_t low, int64_t high) {
    if (file.row_count == 0 || low < file.min_sequence_number) file.min_sequence_number = low;
    if (file.row_count == 0 || high > file.max_sequence_number) file.max_sequence_number = high;
  }

  void TrackKeyValue(DataChunk& rows) {
    UnifiedVectorFormat sequences;
    UnifiedVectorFormat kinds;
    rows.data[layout.SequenceColumn()].ToUnifiedFormat(rows.size(), sequences);
    rows.data[layout.KindColumn()].ToUnifiedFormat(rows.size(), kinds);
    auto* sequence = UnifiedVectorFormat::GetData<int64_t>(sequences);
    auto* kind = UnifiedVectorFormat::GetData<int8_t>(kinds);
    int64_t low = sequence[sequences.sel->get_index(0)];
    int64_t high = low;
    for (idx_t i = 0; i < rows.size(); i++) {
      int64_t number = sequence[sequences.sel->get_index(i)];
      low = std::min(low, number);
      high = std::max(high, number);
      delete_rows += !IsAdd(static_cast<RowKind>(kind[kinds.sel->get_index(i)]));
    }
    TrackSequence(low, high);
    if (file.row_count == 0) min_key = KeyAt(rows, layout.key.size(), 0);
    max_key = KeyAt(rows, layout.key.size(), rows.size() - 1);
  }

  void WriteRows(DataChunk& rows) {
    idx_t left_out = rows.ColumnCount() - columns.size();
    for (idx_t i = 0; i < columns.size(); i++) {
      file_chunk.data[i].Reference(rows.data[left_out + i]);
    }
    file_chunk.SetCardinality(rows.size());
    writer->Write(file_chunk);
    file.row_count += static_cast<int64_t>(rows.size());
    if (writer->EstimatedSize() >= options.target_file_bytes) CloseFile();
  }

  void WriteIndex(const std::string& bytes) {
    if (static_cast<int64_t>(bytes.size()) <= options.index_in_manifest_bytes) {
      file.embedded_index = bytes;
      return;
    }
    file.extra_files.push_back(file.file_name + ".index");  // First: Abort deletes it too.
    auto beside = context.files.OpenForWrite(CurrentPath() + ".index");
    beside->Append(bytes);
    beside->CloseUnsynced();
  }

  void CloseFile() {
    if (!writer) return;
    file.file_size = writer->Finish();
    writer.reset();
    file.schema_id = layout.schema_id;
    file.level = options.level;
    file.file_source = options.source;
    file.creation_time_ms = LocalWallClockMs(context.clock);
    file.delete_row_count = delete_rows;
    file.min_key = EmptyRow();
    file.max_key = EmptyRow();
    file.key_stats = {EmptyRow(), EmptyRow(), {}};
    if (HasKey()) {
      file.min_key = EncodeRow(layout.KeyTypes(), min_key);
      file.max_key = EncodeRow(layout.KeyTypes(), max_key);
      file.key_stats = key_stats->Finish();
    }
    std::vector<idx_t> with_stats;
    file.value_stats = value_stats->FinishDense(with_stats);
    if (with_stats.size() != layout.fields.size()) {
      file.value_stats_columns.emplace();
      for (idx_t i : with_stats) file.value_stats_columns->push_back(covered_names[i]);
    }
    if (index) WriteIndex(index->Finish());
    finished.push_back(file);
    open = false;
  }
};

RunFileWriter::RunFileWriter(const LsmContext& context, const KeyValueLayout& layout,
                             DataFileNames& names, RunWriteOptions options)
    : state_(new State{.context = context,
                       .layout = layout,
                       .names = names,
                       .options = std::move(options),
                       .columns = {},
                       .covered_types = {},
                       .covered_modes = {},
                       .covered = {},
                       .covered_names = {},
                       .covered_chunk = {},
                       .file_chunk = {},
                       .finished = {},
                       .writer = {},
                       .key_stats = {},
                       .value_stats = {},
                       .index = {},
                       .file = {},
                       .min_key = {},
                       .max_key = {}}) {
  state_->Prepare();
}

RunFileWriter::~RunFileWriter() = default;

void RunFileWriter::Write(DataChunk& rows) {
  if (rows.size() == 0) return;
  State& state = *state_;
  MILLRACE_CHECK(state.HasKey() &&
                 rows.ColumnCount() == state.layout.ValueColumn(state.layout.fields.size()));
  if (!state.writer) state.OpenFile();
  state.TrackKeyValue(rows);
  state.AddToStats(rows, state.layout.ValueColumn(0));
  state.WriteRows(rows);
}

void RunFileWriter::WriteAppend(DataChunk& rows, int64_t first_sequence_number) {
  if (rows.size() == 0) return;
  State& state = *state_;
  MILLRACE_CHECK(!state.HasKey() && rows.ColumnCount() == state.columns.size());
  if (!state.writer) state.OpenFile();
  state.TrackSequence(first_sequence_number,
                      first_sequence_number + static_cast<int64_t>(rows.size()) - 1);
  state.AddToStats(rows, 0);
  state.WriteRows(rows);
}

std::vector<DataFileMeta> RunFileWriter::Finish() {
  state_->CloseFile();
  return state_->finished;
}

void RunFileWriter::Abort() {
  State& state = *state_;
  if (state.open) {
    state.writer.reset();
    state.DeleteQuietly(state.file);
    state.open = false;
  }
  for (const DataFileMeta& file : state.finished) state.DeleteQuietly(file);
  state.finished.clear();
}

}  // namespace millrace
