// parquet_file_writer.cc - ParquetFileWriter over DuckDB's ParquetWriter.
//
// What DuckDB's writer cannot say by itself is set in its schema before the footer is written: the
// root's name, REQUIRED for NOT NULL columns, TIME as int32 milliseconds, TIMESTAMP_LTZ(0-3) as
// adjusted to UTC. leaf_writers.h has the columns that it cannot store at all.
#include <fmt/format.h>

#include "base/bytes.h"
#include "base/error.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/parallel/task_scheduler.hpp"
#include "format/duck_file_system.h"
#include "format/encode_passes.h"
#include "format/leaf_writers.h"
#include "format/page_scan.h"
#include "format/parquet_file.h"
#include "io/executor.h"
#include "io/parallel.h"
#include "parquet_writer.hpp"
#include "writer/primitive_column_writer.hpp"

namespace millrace {

namespace {

// Explicit instantiation may name private members: the legal way to the writer's schema.
template <typename Tag, typename Tag::Type member>
struct Expose {
  friend typename Tag::Type Member(Tag) { return member; }
};
struct MetadataTag {
  using Type = duckdb_parquet::FileMetaData duckdb::ParquetWriter::*;
  friend Type Member(MetadataTag);
};
struct ColumnWritersTag {
  using Type = duckdb::vector<duckdb::unique_ptr<duckdb::ColumnWriter>> duckdb::ParquetWriter::*;
  friend Type Member(ColumnWritersTag);
};
struct CodecTag {
  using Type = duckdb_parquet::CompressionCodec::type duckdb::ParquetWriter::*;
  friend Type Member(CodecTag);
};
template struct Expose<MetadataTag, &duckdb::ParquetWriter::file_meta_data>;
template struct Expose<ColumnWritersTag, &duckdb::ParquetWriter::column_writers>;
template struct Expose<CodecTag, &duckdb::ParquetWriter::codec>;

constexpr int kElementIdBase = 536870911;  // SpecialFields.java: ids inside ARRAY and MAP.
constexpr int kElementIdStep = 1024;
constexpr int64_t kRowGroupBytesMax = 128 << 20;
constexpr int64_t kFirstRowGroupRows = 32'768;
constexpr int64_t kDictionaryRetry = 8;
constexpr idx_t kTellingRows = 16'384;             // Fewer say little of a column's values.
constexpr idx_t kPassesPerThread = 3;              // So that threads end at about the same time.
constexpr idx_t kPageRows = 10 * kChunkRows;       // As parquet-mr, which Paimon writes with.
constexpr idx_t kSortedPageRows = 2 * kChunkRows;  // One is read for a key (file_pages.h).
constexpr idx_t kEncodersMax = 4;                  // Threads that share the columns of a row group.
constexpr size_t kPageKeyBytesMax = 64;            // With longer texts pages go without keys.

bool IsMillis(const DataType& type) {
  return (type.root == TypeRoot::kTimestamp || type.root == TypeRoot::kTimestampLtz) &&
         type.length <= 3;
}

/// The DuckDB type whose Parquet form is what Paimon stores.
LogicalType StorageType(const DataType& type, bool top = true) {
  if (IsMillis(type)) return LogicalType(LogicalTypeId::TIMESTAMP_MS);
  switch (type.root) {
    case TypeRoot::kTime:  // Inside another type a writer of ours makes milliseconds of it.
      return top ? LogicalType(LogicalTypeId::INTEGER) : type.ToDuck();
    case TypeRoot::kArray:
      return LogicalType::LIST(StorageType(type.children[0], false));
    case TypeRoot::kMultiset:
      return LogicalType::MAP(StorageType(type.children[0], false),
                              LogicalType(LogicalTypeId::INTEGER));
    case TypeRoot::kMap:
      return LogicalType::MAP(StorageType(type.children[0], false),
                              StorageType(type.children[1], false));
    case TypeRoot::kRow: {
      duckdb::child_list_t<LogicalType> members;
      for (const DataField& field : type.fields) {
        members.emplace_back(field.name, StorageType(field.type, false));
      }
      return LogicalType::STRUCT(std::move(members));
    }
    default: {
      LogicalType duck = type.ToDuck();
      return top && duck.HasAlias() ? LogicalType(duck.id()) : duck;
    }
  }
}

void AddFieldIds(duckdb::ChildFieldIDs& ids, const std::string& name, int id, const DataType& type,
                 int outer_id, int depth);

void AddChildIds(duckdb::FieldID& field, const DataType& type, int outer_id, int depth) {
  // 64 bits: the ids of _KEY_ columns are so large that the product of these would overflow.
  int64_t offset = int64_t{kElementIdStep} * outer_id + depth + 1;
  auto element = static_cast<int>(kElementIdBase + offset);
  auto key = static_cast<int>(kElementIdBase - offset);
  if (type.root == TypeRoot::kArray) {
    AddFieldIds(field.child_field_ids, "element", element, type.children[0], outer_id, depth + 1);
  } else if (type.root == TypeRoot::kMap || type.root == TypeRoot::kMultiset) {
    AddFieldIds(field.child_field_ids, "key", key, type.children[0], outer_id, depth + 1);
    DataType count;  // INT
    AddFieldIds(field.child_field_ids, "value", element,
                type.root == TypeRoot::kMap ? type.children[1] : count, outer_id, depth + 1);
  } else if (type.root == TypeRoot::kRow) {
    for (const DataField& member : type.fields) {
      AddFieldIds(field.child_field_ids, member.name, member.id, member.type, member.id, 0);
    }
  }
}

void AddFieldIds(duckdb::ChildFieldIDs& ids, const std::string& name, int id, const DataType& type,
                 int outer_id, int depth) {
  duckdb::FieldID field = id >= 0 ? duckdb::FieldID(id) : duckdb::FieldID();
  if (id >= 0) AddChildIds(field, type, outer_id, depth);
  ids.ids->emplace(name, std::move(field));
}

duckdb_parquet::CompressionCodec::type Codec(const std::string& name) {
  using duckdb_parquet::CompressionCodec;
  if (name == "zstd") return CompressionCodec::ZSTD;
  if (name == "snappy") return CompressionCodec::SNAPPY;
  if (name == "gzip") return CompressionCodec::GZIP;
  if (name == "lz4" || name == "lz4_raw") return CompressionCodec::LZ4_RAW;
  if (name == "none" || name == "uncompressed") return CompressionCodec::UNCOMPRESSED;
  Throw(ErrorCode::kInvalid,
        "Option 'file.compression': '{}' is not known; use zstd, snappy, gzip, lz4 or none", name);
}

/// A row group has pages of `page_rows`; DuckDB would make one of it, too large for any cache.
void EndFullPage(duckdb::ColumnWriterState& state, idx_t page_rows) {
  auto& pages = state.Cast<duckdb::PrimitiveColumnWriterState>().page_info;
  if (pages.back().row_count < page_rows) return;
  duckdb::PageInformation next;
  next.offset = pages.back().offset + pages.back().row_count;
  pages.push_back(next);
}

void MicrosToMillis(Vector& source, Vector& target, idx_t count) {
  duckdb::UnaryExecutor::Execute<int64_t, int64_t>(source, target, count, [](int64_t micros) {
    return micros / 1000 - (micros % 1000 < 0 ? 1 : 0);
  });
}

}  // namespace

struct ParquetFileWriter::State {
  State(duckdb::DatabaseInstance& database, FileSystem& files, std::string file_path)
      : connection(database), file_system(files), path(std::move(file_path)) {}

  duckdb::Connection connection;
  DuckFileSystem file_system;
  std::string path;
  std::vector<FileColumn> columns;
  ParquetWriteOptions options;
  duckdb::vector<LogicalType> input_types;
  duckdb::vector<LogicalType> storage_types;
  std::vector<idx_t> converted;  // Columns whose storage type differs.
  DataChunk storage;             // Used only when there are such columns.
  std::unique_ptr<duckdb::ParquetWriter> writer;
  std::unique_ptr<duckdb::ColumnDataCollection> buffer;
  duckdb::ColumnDataAppendState append_state;
  std::vector<uint32_t> checksums;  // Of all column chunks so far.
  std::vector<size_t> chunk_of;     // Per column: its first chunk in a row group.
  FilePages pages;                  // Of all row groups so far.
  idx_t page_rows = kPageRows;
  idx_t own_codec = 0;     // The column that is compressed otherwise; their number: none.
  std::vector<bool> look;  // Columns that may have a dictionary in this row group.

  // A full row group is encoded on another thread while the next one fills. Until it is joined the
  // writer and the file belong to that thread.
  std::unique_ptr<duckdb::ColumnDataCollection> encoding_rows;
  std::exception_ptr encoding_error;
  int64_t encoding_count = 0;
  int64_t encoding_bytes = 0;
  int64_t written_rows = 0;  // Of joined row groups, as is this:
  int64_t written_bytes = 0;
  std::unique_ptr<Executor> executor = MakeThreadExecutor();
  std::unique_ptr<Task> encoding;  // The last: it uses the rest.

  template <typename Work>
  auto Guard(const char* doing, Work work) {
    try {
      return work();
    } catch (const Error&) {
      throw;
    } catch (const std::exception& exception) {
      Error error = ErrorFrom(exception, ErrorCode::kIo);
      Throw(error.code(), "{} data file '{}': {}", doing, path, error.text());
    }
  }

  void Open() {
    own_codec = columns.size();
    duckdb::vector<std::string> names;
    duckdb::ChildFieldIDs ids;
    for (idx_t i = 0; i < columns.size(); i++) {
      const FileColumn& column = columns[i];
      names.push_back(column.name);
      input_types.push_back(column.type.ToDuck());
      storage_types.push_back(StorageType(column.type));
      if (storage_types.back() != input_types.back()) converted.push_back(i);
      if (column.sorted) page_rows = kSortedPageRows;
      bool own = !options.sequence_compression.empty() &&
                 Codec(options.sequence_compression) != Codec(options.compression);
      if (column.sequence && own) own_codec = i;
      AddFieldIds(ids, column.name, column.field_id, column.type, column.field_id, 0);
    }
    if (!converted.empty()) {
      storage.Initialize(duckdb::Allocator::DefaultAllocator(), storage_types);
    }
    auto& context = *connection.context;
    writer = std::make_unique<duckdb::ParquetWriter>(
        context, file_system, path, storage_types, std::move(names), Codec(options.compression),
        std::move(ids), duckdb::ShreddingType(),
        duckdb::vector<duckdb::pair<std::string, std::string>>(), nullptr, duckdb::optional_idx(),
        1 << 20, false, 0.01, options.zstd_level, duckdb::ParquetVersion::V1,
        duckdb::GeoParquetVersion::NONE);
    auto& column_writers = (*writer).*Member(ColumnWritersTag());
    size_t chunks = 0;
    for (idx_t i = 0; i < columns.size(); i++) {
      ReplaceLeafWriters(column_writers[i], columns[i].type);
      chunk_of.push_back(chunks);
      ForEachLeaf(*column_writers[i], columns[i].type, [&](const auto&, const auto&) { chunks++; });
      if (!columns[i].type.nullable && !storage_types[i].IsNested()) {
        column_writers[i]->MarkRepetitionRequired();
      }
    }
    StartBuffer();
  }

  void StartBuffer() {
    buffer = std::make_unique<duckdb::ColumnDataCollection>(
        *connection.context, storage_types,
        duckdb::ColumnDataAllocatorType::BUFFER_MANAGER_ALLOCATOR);
    append_state = duckdb::ColumnDataAppendState();
    buffer->InitializeAppend(append_state);
  }

  /// The buffered rows become a row group, on another thread.
  void StartRowGroup() {
    JoinRowGroup();
    encoding_count = static_cast<int64_t>(buffer->Count());
    encoding_bytes = static_cast<int64_t>(buffer->SizeInBytes());
    encoding_rows = std::move(buffer);
    StartBuffer();
    encoding = executor->Start("encode", [this] {
      try {
        EncodeRowGroup(*encoding_rows);
      } catch (...) {
        encoding_error = std::current_exception();
      }
    });
  }

  /// The first row group is small, so that other threads have something to encode soon.
  int64_t RowGroupRows() const {
    bool first = written_rows + encoding_count == 0;
    return first ? std::min(kFirstRowGroupRows, options.row_group_rows) : options.row_group_rows;
  }

  void JoinRowGroup() {
    if (!encoding) return;
    encoding->Join();
    encoding.reset();
    encoding_rows.reset();
    written_rows += std::exchange(encoding_count, 0);
    encoding_bytes = 0;
    if (encoding_error) std::rethrow_exception(std::exchange(encoding_error, nullptr));
    written_bytes = static_cast<int64_t>(writer->FileSize());
  }

  DataChunk& Convert(DataChunk& chunk) {
    if (converted.empty()) return chunk;
    storage.Reset();
    for (idx_t i = 0, next = 0; i < columns.size(); i++) {
      if (next == converted.size() || converted[next] != i) {
        storage.data[i].Reference(chunk.data[i]);
        continue;
      }
      next++;
      ConvertColumn(columns[i].type, chunk.data[i], storage.data[i], chunk.size());
    }
    storage.SetCardinality(chunk.size());
    return storage;
  }

  static void ConvertColumn(const DataType& type, Vector& source, Vector& target, idx_t count) {
    if (IsMillis(type)) {
      MicrosToMillis(source, target, count);
    } else if (type.root == TypeRoot::kTime) {
      duckdb::UnaryExecutor::Execute<int64_t, int32_t>(source, target, count, [](int64_t micros) {
        return static_cast<int32_t>(micros / 1000);
      });
    } else if (source.GetType().InternalType() == target.GetType().InternalType() &&
               !source.GetType().IsNested()) {
      target.Reinterpret(source);  // An alias on the same bytes.
    } else {
      duckdb::VectorOperations::DefaultCast(source, target, count);
    }
  }

  void CheckRequired(DataChunk& chunk) {
    for (idx_t i = 0; i < columns.size(); i++) {
      if (columns[i].type.nullable) continue;
      UnifiedVectorFormat format;
      chunk.data[i].ToUnifiedFormat(chunk.size(), format);
      if (format.validity.AllValid()) continue;
      for (idx_t row = 0; row < chunk.size(); row++) {
        if (!format.validity.RowIsValid(format.sel->get_index(row))) {
          Throw(ErrorCode::kData,
                "Writing data file '{}': column '{}' is NOT NULL but a row has NULL", path,
                columns[i].name);
        }
      }
    }
  }

  /// ParquetWriter::Flush, but for REQUIRED columns, which it cannot write at the top level: their
  /// definition levels are taken away before pages are laid out. Threads share the columns.
  void EncodeRowGroup(duckdb::ColumnDataCollection& rows) {
    if (rows.Count() == 0) return;
    writer->InitializeSchemaElements();
    duckdb::PreparedRowGroup prepared;
    prepared.row_group.num_rows = static_cast<int64_t>(rows.Count());
    prepared.row_group.__isset.file_offset = true;
    for (auto& column : (*writer).*Member(ColumnWritersTag())) {
      prepared.states.push_back(column->InitializeWriteState(prepared.row_group));
    }
    look = options.dictionaries->Look(columns.size());
    EncodeSequences(rows, prepared);
    EncodeInPasses(rows, prepared);
    std::vector<Value> least;
    if (HasSamePages(prepared, rows.Count())) least = LeastOfPages(rows);
    writer->FlushRowGroup(prepared);
    const auto& chunks = ((*writer).*Member(MetadataTag())).row_groups.back().columns;
    std::vector<bool> plain;
    for (idx_t i = 0; i < columns.size(); i++) {
      plain.push_back(!storage_types[i].IsNested() &&
                      !chunks[chunk_of[i]].meta_data.__isset.dictionary_page_offset);
    }
    if (rows.Count() >= kTellingRows) options.dictionaries->Note(std::move(plain));
    RowGroupPages& group = pages.row_groups.emplace_back();
    group.rows = static_cast<int64_t>(page_rows);
    group.least = std::move(least);
    ChecksumRowGroup(group.least.empty() ? nullptr : &group.chunks);
  }

  /// Whether pages have the same rows in each column.
  bool HasSamePages(duckdb::PreparedRowGroup& prepared, idx_t rows) const {
    for (idx_t i = 0; i < columns.size(); i++) {
      if (storage_types[i].IsNested()) return false;
      idx_t left = rows;
      for (const auto& page :
           prepared.states[i]->Cast<duckdb::PrimitiveColumnWriterState>().page_info) {
        if (page.row_count != std::min(left, page_rows)) return false;
        left -= page.row_count;
      }
    }
    return true;
  }

  /// The first value of each page in the sorted column; empty without one, or for other types.
  std::vector<Value> LeastOfPages(duckdb::ColumnDataCollection& rows) {
    std::vector<Value> least;
    auto sorted = std::find_if(columns.begin(), columns.end(),
                               [](const FileColumn& column) { return column.sorted; });
    if (sorted == columns.end()) return least;
    idx_t column = static_cast<idx_t>(sorted - columns.begin());
    auto type = storage_types[column].id();
    bool integer = type == LogicalTypeId::BIGINT || type == LogicalTypeId::INTEGER;
    if (!integer && type != LogicalTypeId::VARCHAR) return least;
    pages.sorted_column = sorted->name;
    DataChunk chunk;
    rows.InitializeScanChunk(chunk);
    for (idx_t row = 0; row < rows.Count(); row += page_rows) {
      rows.FetchChunk(row / kChunkRows, chunk);
      Value value = chunk.GetValue(column, 0);
      least.push_back(integer ? value.DefaultCastAs(LogicalType(LogicalTypeId::BIGINT)) : value);
      if (!integer && duckdb::StringValue::Get(value).size() > kPageKeyBytesMax) return {};
    }
    return least;
  }

  /// Adds up the chunks of the row group just written, with `chunk_pages` also their pages, then
  /// lets its bytes go.
  void ChecksumRowGroup(std::vector<ChunkPages>* chunk_pages) {
    writer->GetWriter().Flush();
    const std::string& bytes = file_system.pending();
    for (const auto& column : ((*writer).*Member(MetadataTag())).row_groups.back().columns) {
      const auto& metadata = column.meta_data;
      int64_t offset = metadata.__isset.dictionary_page_offset ? metadata.dictionary_page_offset
                                                               : metadata.data_page_offset;
      auto start = static_cast<size_t>(offset - file_system.pending_offset());
      MILLRACE_CHECK(start + metadata.total_compressed_size <= bytes.size());
      auto chunk = std::string_view(bytes).substr(
          start, static_cast<size_t>(metadata.total_compressed_size));
      checksums.push_back(Crc32(chunk));
      if (chunk_pages) chunk_pages->push_back(ScanPages(chunk));
    }
    file_system.SendPending();
  }

  /// The column that is compressed in its own way, before all others: a writer has one codec at a
  /// time, and uses it when a page is full.
  void EncodeSequences(duckdb::ColumnDataCollection& rows, duckdb::PreparedRowGroup& prepared) {
    if (own_codec == columns.size()) return;
    auto& codec = (*writer).*Member(CodecTag());
    const auto others = codec;
    codec = Codec(options.sequence_compression);
    prepared.row_group.columns[chunk_of[own_codec]].meta_data.codec = codec;
    EncodeColumns(rows, {own_codec}, prepared);
    codec = others;
  }

  void EncodeInPasses(duckdb::ColumnDataCollection& rows, duckdb::PreparedRowGroup& prepared) {
    auto& scheduler = duckdb::TaskScheduler::GetScheduler(*connection.context);
    idx_t threads = std::min(kEncodersMax, static_cast<idx_t>(scheduler.NumberOfThreads()));
    if (rows.Count() <= kChunkRows) threads = 1;  // Cheaper than a thread.
    DataChunk sample;
    rows.InitializeScanChunk(sample);
    rows.FetchChunk(0, sample);
    auto passes = PlanPasses(sample, threads == 1 ? 1 : threads * kPassesPerThread, own_codec);
    RunParts("encode", passes.size(), threads,
             [&](size_t pass) { EncodeColumns(rows, passes[pass], prepared); });
  }

  void EncodeColumns(duckdb::ColumnDataCollection& rows,
                     const duckdb::vector<duckdb::column_t>& ids,
                     duckdb::PreparedRowGroup& prepared) {
    const idx_t count = ids.size();
    std::vector<duckdb::ColumnWriter*> writers;
    std::vector<duckdb::ColumnWriterState*> states;
    std::vector<bool> analyze;  // Looking for a dictionary.
    for (duckdb::column_t id : ids) {
      writers.push_back(((*writer).*Member(ColumnWritersTag()))[id].get());
      states.push_back(prepared.states[id].get());
      analyze.push_back(writers.back()->HasAnalyze() && !columns[id].unique && look[id]);
    }
    for (DataChunk& chunk : rows.Chunks(ids)) {
      for (idx_t i = 0; i < count; i++) {
        if (!analyze[i]) continue;
        writers[i]->Analyze(*states[i], nullptr, chunk.data[i], chunk.size());
      }
    }
    for (idx_t i = 0; i < count; i++) {
      if (writers[i]->HasAnalyze()) writers[i]->FinalizeAnalyze(*states[i]);
      states[i]->definition_levels.reserve(rows.Count());
    }
    for (DataChunk& chunk : rows.Chunks(ids)) {
      for (idx_t i = 0; i < count; i++) {
        writers[i]->Prepare(*states[i], nullptr, chunk.data[i], chunk.size(), true);
        if (!storage_types[ids[i]].IsNested()) EndFullPage(*states[i], page_rows);
      }
    }
    for (idx_t i = 0; i < count; i++) {
      if (!writers[i]->can_have_nulls) states[i]->definition_levels.clear();
      writers[i]->BeginWrite(*states[i]);
    }
    for (DataChunk& chunk : rows.Chunks(ids)) {
      for (idx_t i = 0; i < count; i++) {
        writers[i]->Write(*states[i], chunk.data[i], chunk.size());
      }
    }
  }

  /// Says in the footer what DuckDB's types cannot.
  void PatchSchema() {
    writer->InitializeSchemaElements();
    auto& schema = ((*writer).*Member(MetadataTag())).schema;
    auto& column_writers = (*writer).*Member(ColumnWritersTag());
    schema[0].name = "paimon_schema";
    duckdb_parquet::KeyValue entry;
    entry.__set_key(kChecksumKey);
    entry.__set_value(ChecksumValue(checksums));
    auto& metadata = (*writer).*Member(MetadataTag());
    metadata.key_value_metadata.push_back(entry);
    size_t known = 0;
    for (const RowGroupPages& group : pages.row_groups) known += group.least.size();
    if (known > 1) {
      entry.__set_key(kPagesKey);
      entry.__set_value(FilePagesToText(pages));
      metadata.key_value_metadata.push_back(entry);
    }
    metadata.__isset.key_value_metadata = true;
    writer->GetWriter().Flush();  // From here on only the footer is pending.
    file_system.SendPending();
    for (idx_t i = 0; i < columns.size(); i++) {
      ForEachLeaf(*column_writers[i], columns[i].type,
                  [&](const duckdb::ColumnWriter& leaf, const DataType& type) {
                    PatchLeaf(schema[leaf.SchemaIndex()], type);
                  });
    }
  }

  static void PatchLeaf(duckdb_parquet::SchemaElement& element, const DataType& type) {
    if (type.root == TypeRoot::kTime) {
      element.converted_type = duckdb_parquet::ConvertedType::TIME_MILLIS;
      element.__isset.converted_type = true;
      element.__isset.logicalType = true;
      element.logicalType = duckdb_parquet::LogicalType();
      element.logicalType.__isset.TIME = true;
      element.logicalType.TIME.isAdjustedToUTC = true;
      element.logicalType.TIME.unit.__isset.MILLIS = true;
    } else if (type.root == TypeRoot::kTimestampLtz && IsMillis(type)) {
      element.logicalType.TIMESTAMP.isAdjustedToUTC = true;
    }
  }
};

std::vector<bool> DictionaryMemory::Look(size_t columns) {
  std::lock_guard lock(mutex_);
  std::vector<bool> look(columns, true);
  if (plain_.size() != columns || row_groups_ % kDictionaryRetry == 0) return look;
  for (size_t i = 0; i < columns; i++) look[i] = !plain_[i];
  return look;
}

void DictionaryMemory::Note(std::vector<bool> plain) {
  std::lock_guard lock(mutex_);
  plain_ = std::move(plain);
  row_groups_++;
}

ParquetFileWriter::ParquetFileWriter(duckdb::DatabaseInstance& database, FileSystem& files,
                                     std::string path, std::vector<FileColumn> columns,
                                     ParquetWriteOptions options)
    : state_(std::make_unique<State>(database, files, std::move(path))) {
  state_->columns = std::move(columns);
  state_->options = std::move(options);
  state_->Guard("Creating", [&] { state_->Open(); });
}

ParquetFileWriter::~ParquetFileWriter() = default;

void ParquetFileWriter::Write(DataChunk& chunk) {
  if (chunk.size() == 0) return;
  state_->Guard("Writing", [&] {
    state_->CheckRequired(chunk);
    state_->buffer->Append(state_->append_state, state_->Convert(chunk));
    if (static_cast<int64_t>(state_->buffer->Count()) >= state_->RowGroupRows() ||
        static_cast<int64_t>(state_->buffer->SizeInBytes()) >= kRowGroupBytesMax) {
      state_->StartRowGroup();
    }
  });
}

int64_t ParquetFileWriter::EstimatedSize() const {
  const State& state = *state_;
  int64_t waiting = static_cast<int64_t>(state.buffer->Count()) + state.encoding_count;
  if (waiting == 0) return state.written_bytes;
  if (state.written_rows > 0) {
    return state.written_bytes + waiting * state.written_bytes / state.written_rows;
  }
  int64_t bytes = static_cast<int64_t>(state.buffer->SizeInBytes()) + state.encoding_bytes;
  return bytes / 3;  // A guess at the ratio.
}

int64_t ParquetFileWriter::Finish() {
  return state_->Guard("Finishing", [&] {
    state_->JoinRowGroup();
    state_->EncodeRowGroup(*state_->buffer);
    state_->PatchSchema();
    state_->writer->Finalize();
    return state_->file_system.written_bytes();
  });
}

}  // namespace millrace
