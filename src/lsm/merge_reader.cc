// merge_reader.cc - sections one after the other: passed through, won by rows, or combined.
#include "lsm/merge_reader.h"

#include "base/error.h"
#include "lsm/key_batches.h"
#include "lsm/winner_merge.h"

namespace millrace {

namespace {

duckdb::vector<LogicalType> OutputTypes(const KeyValueLayout& layout,
                                        const MergeReadOptions& options) {
  duckdb::vector<LogicalType> types;
  if (options.key_value) {
    for (idx_t index : layout.key) types.push_back(layout.fields[index].type.ToDuck());
    types.push_back(LogicalType(LogicalTypeId::BIGINT));
    types.push_back(LogicalType(LogicalTypeId::TINYINT));
  }
  for (idx_t index : options.fields) types.push_back(layout.fields[index].type.ToDuck());
  if (options.positions) types.push_back(LogicalType(LogicalTypeId::BIGINT));
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
  state.plan = PlanRawRead(state.layout, files, state.options);
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

size_t RunReader::CurrentFile() const {
  return state_->scan->CurrentFile();
}

struct MergeReader::State {
  LsmContext context;
  KeyValueLayout layout;
  std::string folder;
  MergeReadOptions options;
  duckdb::vector<LogicalType> types = {};
  std::vector<Section> sections = {};
  size_t next_section = 0;
  std::unique_ptr<MergeFunction> function = {};  // Null: rows win as they are.
  ReadPlan merge_plan = {};
  std::unique_ptr<BatchCombiner> combiner = {};
  // Of the section at hand, one of:
  std::unique_ptr<WinnerMerge> winners = {};
  std::unique_ptr<KeyBatches> batches = {};
  std::unique_ptr<RunReader> single = {};  // Of sections of one run.
  KeyBatch batch = {};

  void Prepare(const std::vector<DataFileMeta>& files) {
    types = OutputTypes(layout, options);
    // Rows that are to be ignored may not win.
    bool row_wins = options.merge.ChoosesRows() &&
                    (!MayHoldDeletes(files) || (options.merge.engine == MergeEngine::kDeduplicate &&
                                                !options.merge.ignore_delete));
    if (!row_wins) {
      std::vector<idx_t> wanted = options.fields;
      if (options.key_value) wanted.insert(wanted.end(), layout.key.begin(), layout.key.end());
      function = MakeMergeFunction(options.merge, layout, std::move(wanted));
    }
    merge_plan =
        PlanMerge(layout, options, function ? function->needed_fields() : std::vector<idx_t>());
    if (!function) return;
    combiner = std::make_unique<BatchCombiner>(merge_plan, *function, layout, options.fields,
                                               options.key_value);
  }

  void StartMerge(Section& section) {
    std::vector<RunScan> scans;
    for (SortedRun& run : section) {
      scans.emplace_back(context, layout, folder, std::move(run.files), merge_plan, options);
    }
    if (!function) {
      winners =
          MakeWinnerMerge(std::move(scans), merge_plan,
                          options.merge.engine == MergeEngine::kDeduplicate, options.drop_deletes);
      return;
    }
    std::vector<RunInput> runs;
    for (RunScan& scan : scans) runs.push_back({std::move(scan), false});
    batches = MakeKeyBatches(std::move(runs), merge_plan, options.merge.whole_above_level0);
  }

  bool StartSection() {
    winners.reset();
    batches.reset();
    single.reset();
    if (next_section == sections.size()) return false;
    Section& section = sections[next_section++];
    if (section.size() > 1) {
      StartMerge(section);
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

  bool NextCombined(DataChunk& chunk) {
    while (batches->Next(batch)) {
      combiner->Combine(batch, chunk);
      if (!options.drop_deletes || combiner->DropDeletes(chunk)) return true;
    }
    return false;
  }
};

MergeReader::MergeReader(const LsmContext& context, const KeyValueLayout& layout,
                         const std::string& folder, std::vector<DataFileMeta> files,
                         MergeReadOptions options)
    : state_(new State{
          .context = context, .layout = layout, .folder = folder, .options = std::move(options)}) {
  State& state = *state_;
  MILLRACE_CHECK(!layout.key.empty());
  state.Prepare(files);
  state.sections = PartitionIntoSections(std::move(files), KeyOrder(layout.KeyTypes()));
}

MergeReader::~MergeReader() = default;
const duckdb::vector<LogicalType>& MergeReader::Types() const {
  return state_->types;
}

bool MergeReader::Next(DataChunk& chunk) {
  State& state = *state_;
  while (true) {
    if (state.winners && state.winners->Next(chunk)) return true;
    if (state.batches && state.NextCombined(chunk)) return true;
    if (state.single && state.single->Next(chunk)) return true;
    if (!state.StartSection()) return false;
  }
}

}  // namespace millrace
