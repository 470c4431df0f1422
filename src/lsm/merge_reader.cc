// merge_reader.cc - sections one after the other; in a section, k-way merge by least key.
//
// As long as the least key of one cursor is smaller than all others its rows go out as a stretch; a
// tie is decided by (user sequence, sequence). Chosen rows are noted per cursor as (source, target)
// pairs and copied column by column when the output is full or the cursor's chunk is used up.
#include "lsm/merge_reader.h"

#include "base/error.h"
#include "lsm/merge_cursor.h"
#include "lsm/sort_key.h"

namespace millrace {

namespace {

bool Less(int64_t a, int64_t b) {
  return a < b;
}
bool Less(const string_t& a, const string_t& b) {
  return string_t::StringComparisonOperators::GreaterThan(b, a);
}
bool Same(int64_t a, int64_t b) {
  return a == b;
}
bool Same(const string_t& a, const string_t& b) {
  return string_t::StringComparisonOperators::Equals(a, b);
}

/// Merges the runs of one section.
class SectionMerge {
 public:
  virtual ~SectionMerge() = default;
  virtual bool Next(DataChunk& output) = 0;
};

template <typename Key>
class Merge : public SectionMerge {
 public:
  using Cursor = MergeCursor<Key>;

  Merge(std::vector<RunScan> scans, const ReadPlan& plan, const MergeReadOptions& options)
      : plan_(plan), options_(options), newest_wins_(options.engine == MergeEngine::kDeduplicate) {
    for (RunScan& scan : scans) {
      auto cursor = std::make_unique<Cursor>(std::move(scan), plan);
      if (cursor->Load()) cursors_.push_back(std::move(cursor));
    }
  }

  bool Next(DataChunk& output) override {
    while (!cursors_.empty()) {
      if (cursors_.size() == 1 && cursors_[0]->position == 0) {
        // The last run left: whole chunks pass through.
        bool any = ReadToOutput(cursors_[0]->chunk, plan_, options_.drop_deletes, output);
        if (any) {
          passed_ = true;  // The cursor's chunk is in use until the next call.
          cursors_[0]->position = cursors_[0]->size();
          return true;
        }
        if (!cursors_[0]->Load()) cursors_.clear();
        continue;
      }
      if (passed_) {
        passed_ = false;
        if (!cursors_[0]->Load()) cursors_.clear();
        continue;
      }
      if (MergeChunk(output)) return true;
    }
    return false;
  }

 private:
  bool MergeChunk(DataChunk& output) {
    output.Reset();
    filled_ = 0;
    while (filled_ < kChunkRows && !cursors_.empty()) {
      if (cursors_.size() == 1) {
        if (filled_ > 0 && cursors_[0]->position == 0) break;  // Let whole chunks pass.
        Stretch(*cursors_[0], nullptr);
        Refill(0, output);
        continue;
      }
      Step(output);
    }
    for (auto& cursor : cursors_) CopyPicked(*cursor, output);
    output.SetCardinality(filled_);
    return filled_ > 0;
  }

  /// One stretch or one tie.
  void Step(DataChunk& output) {
    size_t least = 0;
    for (size_t i = 1; i < cursors_.size(); i++) {
      if (Less(cursors_[i]->key(), cursors_[least]->key())) least = i;
    }
    size_t second = least == 0 ? 1 : 0;
    for (size_t i = second + 1; i < cursors_.size(); i++) {
      if (i != least && Less(cursors_[i]->key(), cursors_[second]->key())) second = i;
    }
    if (Same(cursors_[least]->key(), cursors_[second]->key())) {
      Tie(cursors_[least]->key(), output);
    } else {
      const Key limit = cursors_[second]->key();
      Stretch(*cursors_[least], &limit);
      Refill(least, output);
    }
  }

  /// Picks rows of `cursor` while they are below `limit` (none: to the end of its chunk).
  void Stretch(Cursor& cursor, const Key* limit) {
    idx_t end = std::min(cursor.size(), cursor.position + (kChunkRows - filled_));
    if (limit != nullptr && !Less(cursor.keys[end - 1], *limit)) {
      idx_t stop = cursor.position + 1;  // The first row is known to be below.
      while (stop < end && Less(cursor.keys[stop], *limit)) stop++;
      end = stop;
    }
    bool filter = options_.drop_deletes && cursor.has_deletes;
    for (idx_t row = cursor.position; row < end; row++) {
      if (!filter || IsAdd(cursor.KindAt(row))) Pick(cursor, row);
    }
    cursor.position = end;
  }

  void Tie(const Key& key_in_chunk, DataChunk& output) {
    const Key key = key_in_chunk;
    tied_.clear();
    size_t winner = cursors_.size();
    for (size_t i = 0; i < cursors_.size(); i++) {
      if (!Same(cursors_[i]->key(), key)) continue;
      tied_.push_back(i);
      if (winner == cursors_.size() || Newer(*cursors_[i], *cursors_[winner]) == newest_wins_) {
        winner = i;
      }
    }
    Cursor& cursor = *cursors_[winner];
    if (!options_.drop_deletes || IsAdd(cursor.KindAt(cursor.position))) {
      Pick(cursor, cursor.position);
    }
    for (size_t i : tied_) cursors_[i]->position++;
    // From the last, for a finished cursor is taken out.
    for (size_t i = tied_.size(); i-- > 0;) Refill(tied_[i], output);
  }

  bool Newer(const Cursor& a, const Cursor& b) const {
    if (!plan_.sequence_fields.empty()) {
      const string_t& user_a = a.UserSequenceAt(a.position);
      const string_t& user_b = b.UserSequenceAt(b.position);
      if (!Same(user_a, user_b)) return Less(user_b, user_a);
    }
    return a.SequenceAt(a.position) > b.SequenceAt(b.position);
  }

  void Pick(Cursor& cursor, idx_t row) {
    RowPairs& picked = cursor.picked;
    picked.source[picked.count] = static_cast<uint32_t>(row);
    picked.target[picked.count++] = static_cast<uint32_t>(filled_++);
  }

  void CopyPicked(Cursor& cursor, DataChunk& output) {
    if (cursor.picked.count == 0) return;
    for (idx_t i = 0; i < plan_.output.size(); i++) {
      Scatter(cursor.chunk.data[plan_.output[i]], cursor.size(), cursor.picked, output.data[i]);
    }
    cursor.picked.count = 0;
  }

  void Refill(size_t index, DataChunk& output) {
    Cursor& cursor = *cursors_[index];
    if (cursor.position < cursor.size()) return;
    CopyPicked(cursor, output);
    if (!cursor.Load()) cursors_.erase(cursors_.begin() + static_cast<ptrdiff_t>(index));
  }

  const ReadPlan& plan_;
  const MergeReadOptions& options_;
  bool newest_wins_;
  std::vector<std::unique_ptr<Cursor>> cursors_;  // Those with rows left.
  std::vector<size_t> tied_;
  idx_t filled_ = 0;     // Output rows picked.
  bool passed_ = false;  // The last cursor's chunk went out as it is.
};

duckdb::vector<LogicalType> OutputTypes(const KeyValueLayout& layout,
                                        const MergeReadOptions& options) {
  duckdb::vector<LogicalType> types;
  if (options.key_value) {
    for (idx_t index : layout.key) types.push_back(layout.fields[index].type.ToDuck());
    types.push_back(LogicalType(LogicalTypeId::BIGINT));
    types.push_back(LogicalType(LogicalTypeId::TINYINT));
  }
  for (idx_t index : options.fields) types.push_back(layout.fields[index].type.ToDuck());
  return types;
}

duckdb::vector<LogicalType> KeyDuckTypes(const KeyValueLayout& layout) {
  duckdb::vector<LogicalType> types;
  for (idx_t index : layout.key) types.push_back(layout.fields[index].type.ToDuck());
  return types;
}

}  // namespace

struct RunReader::State {
  LsmContext context;
  KeyValueLayout layout;
  MergeReadOptions options;
  duckdb::vector<LogicalType> types;
  ReadPlan plan;
  DataChunk read;
  std::unique_ptr<RunScan> scan;
};

RunReader::RunReader(const LsmContext& context, const KeyValueLayout& layout,
                     const std::string& folder, std::vector<DataFileMeta> files,
                     MergeReadOptions options)
    : state_(new State{context, layout, std::move(options), {}, {}, {}, {}}) {
  State& state = *state_;
  state.types = OutputTypes(layout, state.options);
  state.plan = PlanRead(state.layout, files, state.options, /*merge=*/false);
  if (!state.plan.columns.empty()) {
    state.read.Initialize(duckdb::Allocator::DefaultAllocator(), state.plan.Types());
  }
  state.scan = std::make_unique<RunScan>(state.context, state.layout, folder, std::move(files),
                                         state.plan, state.options);
}

RunReader::~RunReader() = default;
const duckdb::vector<LogicalType>& RunReader::Types() const {
  return state_->types;
}

bool RunReader::Next(DataChunk& chunk) {
  State& state = *state_;
  while (state.scan->Next(state.read)) {
    if (ReadToOutput(state.read, state.plan, state.options.drop_deletes, chunk)) return true;
  }
  return false;
}

struct MergeReader::State {
  LsmContext context;
  KeyValueLayout layout;
  std::string folder;
  MergeReadOptions options;
  duckdb::vector<LogicalType> types;
  std::vector<Section> sections;
  size_t next_section = 0;
  ReadPlan merge_plan;
  std::unique_ptr<SectionMerge> merge;  // Of a section of several runs;
  std::unique_ptr<RunReader> single;    // of sections of one.

  template <typename Key>
  std::unique_ptr<SectionMerge> StartMerge(Section& section) {
    std::vector<RunScan> scans;
    for (SortedRun& run : section) {
      scans.emplace_back(context, layout, folder, std::move(run.files), merge_plan, options);
    }
    return std::make_unique<Merge<Key>>(std::move(scans), merge_plan, options);
  }

  bool StartSection() {
    merge.reset();
    single.reset();
    if (next_section == sections.size()) return false;
    Section& section = sections[next_section++];
    if (section.size() > 1) {
      merge = IsIntegerKey(KeyDuckTypes(layout)) ? StartMerge<int64_t>(section)
                                                 : StartMerge<string_t>(section);
      return true;
    }
    // Neighbouring sections of one run are one sequence of files.
    std::vector<DataFileMeta> files = std::move(section[0].files);
    while (next_section < sections.size() && sections[next_section].size() == 1) {
      for (DataFileMeta& file : sections[next_section][0].files) files.push_back(std::move(file));
      next_section++;
    }
    single = std::make_unique<RunReader>(context, layout, folder, std::move(files), options);
    return true;
  }
};

MergeReader::MergeReader(const LsmContext& context, const KeyValueLayout& layout,
                         const std::string& folder, std::vector<DataFileMeta> files,
                         MergeReadOptions options)
    : state_(new State{context, layout, folder, std::move(options), {}, {}, 0, {}, {}, {}}) {
  State& state = *state_;
  MILLRACE_CHECK(!layout.key.empty());
  state.types = OutputTypes(layout, state.options);
  state.sections = PartitionIntoSections(std::move(files), KeyOrder(layout.KeyTypes()));
  state.merge_plan = PlanRead(state.layout, {}, state.options, /*merge=*/true);
}

MergeReader::~MergeReader() = default;
const duckdb::vector<LogicalType>& MergeReader::Types() const {
  return state_->types;
}

bool MergeReader::Next(DataChunk& chunk) {
  State& state = *state_;
  while (true) {
    if (state.merge && state.merge->Next(chunk)) return true;
    if (state.single && state.single->Next(chunk)) return true;
    if (!state.StartSection()) return false;
  }
}

}  // namespace millrace
