#include "stream/dataflow.h"

#include <algorithm>
#include <atomic>
#include <charconv>

#include "duckdb/common/type_visitor.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"
#include "io/worker_pool.h"
#include "stream/keyed_operators.h"
#include "stream/multiset_operators.h"
#include "stream/pair_keeper.h"
#include "stream/plan_compiler.h"
#include "stream/sharded_run.h"
#include "stream/stateless_operators.h"

namespace millrace {

namespace {

uint64_t Fnv(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  return hash;
}

/// Whether a value is computed from or to TIMESTAMP_LTZ; handing one on does not count.
bool AsksClocks(const duckdb::Expression& expression) {
  constexpr auto kZoned = LogicalTypeId::TIMESTAMP_TZ;
  auto kind = expression.GetExpressionClass();
  if (kind == duckdb::ExpressionClass::BOUND_COLUMN_REF ||
      kind == duckdb::ExpressionClass::BOUND_REF) {
    return false;
  }
  bool asks = duckdb::TypeVisitor::Contains(expression.return_type, kZoned);
  duckdb::ExpressionIterator::EnumerateChildren(expression, [&](const duckdb::Expression& child) {
    asks = asks || duckdb::TypeVisitor::Contains(child.return_type, kZoned) || AsksClocks(child);
  });
  return asks;
}

bool AsksClocks(duckdb::LogicalOperator& plan) {
  bool asks = false;
  duckdb::LogicalOperatorVisitor::EnumerateExpressions(
      plan, [&](duckdb::unique_ptr<duckdb::Expression>* expression) {
        asks = asks || AsksClocks(**expression);
      });
  for (auto& child : plan.children) asks = asks || AsksClocks(*child);
  return asks;
}

/// Two texts that differ in their numbers alone, as one with their sums.
std::string SumNumbers(std::string_view a, std::string_view b) {
  std::string sums;
  while (!a.empty()) {
    int64_t x = 0, y = 0;
    size_t taken = static_cast<size_t>(std::from_chars(a.begin(), a.end(), x).ptr - a.begin());
    if (taken == 0) {
      sums += a.front();
      a.remove_prefix(1);
      b.remove_prefix(std::min<size_t>(1, b.size()));
      continue;
    }
    b.remove_prefix(static_cast<size_t>(std::from_chars(b.begin(), b.end(), y).ptr - b.begin()));
    sums += std::to_string(x + y);
    a.remove_prefix(taken);
  }
  return sums;
}

// A checkpoint of an operator is one whole piece and what has changed since, until that is as much.
constexpr int64_t kSmallBytes = 1 << 20;
constexpr int64_t kMostPieces = 256;

/// The operators of one shard and where their state lies.
struct Shard {
  explicit Shard(StateMemory& memory) : arena(memory) {}

  /// As the plan was compiled.
  void Copy(duckdb::ClientContext& context, const CompiledPlan& from) {
    std::map<const Operator*, Operator*> copies;
    for (auto& op : from.operators) {
      auto copy = op->Copy(context, arena);
      for (Operator* input : op->Inputs()) copy->AddInput(*copies.at(input));
      copy->unique_keys = op->unique_keys;
      copy->consolidated = op->consolidated;
      copies[op.get()] = copy.get();
      plan.operators.push_back(std::move(copy));
    }
    plan.root = copies.at(from.root);
    plan.inputs = from.inputs;
    for (auto& input : plan.inputs) input.entry = copies.at(input.entry);
  }

  StateArena arena;  // Before the operators, whose state lies in it.
  CompiledPlan plan;
  std::vector<Operator*> entries;  // Where chunks of each input go in.
  Operator* top = nullptr;
};

class CompiledDataflow : public Dataflow {
 public:
  CompiledDataflow(duckdb::ClientContext& context, const std::string& sql, DataflowOptions options)
      : context_(context.shared_from_this()),
        options_(std::move(options)),
        own_memory_(options_.memory ? nullptr : std::make_unique<StateMemory>()),
        first_(Memory()) {
    MILLRACE_CHECK(options_.shards > 0 && (options_.shards & (options_.shards - 1)) == 0);
    BoundPlan bound = BindStreamingPlan(context, sql);
    names_ = bound.names;
    types_ = bound.types;
    bool asks_clocks = AsksClocks(*bound.root);
    // Some functions ask for a transaction when their state is made.
    context.RunFunctionInTransaction([&] {
      PlanCompiler compiler(context, first_.arena, options_.rules);
      plan_ = compiler.Compile(std::move(bound.root));
    });
    for (auto& input : plan_.inputs) inputs_.push_back(input.table);
    for (idx_t column : options_.sink_key) MILLRACE_CHECK(column < types_.size());
    std::string text = "v1;" + sql;
    for (auto& op : plan_.operators) text += "\n" + op->Describe();
    for (idx_t column : options_.sink_key) text += fmt::format(" key {}", column);
    fingerprint_ = fmt::format("{:016x}", Fnv(text));
    Value zone;
    if (asks_clocks && context.TryGetCurrentSetting("TimeZone", zone)) {
      fingerprint_ += kFingerprintZone + zone.ToString();
    }
  }

  const std::vector<SourceTable>& Inputs() const override { return inputs_; }
  const duckdb::vector<std::string>& Names() const override { return names_; }
  const duckdb::vector<LogicalType>& Types() const override { return types_; }

  ChangelogType Start(const std::vector<ChangelogType>& input_types) override {
    MILLRACE_CHECK(!started_ && input_types.size() == plan_.inputs.size());
    started_ = true;
    for (idx_t s = 1; s < options_.shards; s++) {
      others_.push_back(std::make_unique<Shard>(Memory()));
      context_->RunFunctionInTransaction([&] { others_.back()->Copy(*context_, plan_); });
    }
    StartShard(first_, input_types);
    pairs_ = std::vector<PairKeeper>(input_types.size());
    for (auto& shard : others_) StartShard(*shard, input_types);
    if (!others_.empty()) context_->RunFunctionInTransaction([&] { Divide(); });
    if (loaded_head_) ApplyLoad();
    return first_.top->type;
  }

  void Push(idx_t index, ChangeChunk& chunk, const ChangeReceiver& out) override {
    MILLRACE_CHECK(started_ && index < first_.entries.size());
    if (chunk.size() == 0) return;
    if (!run_) first_.top->SetReceiver(&out);
    PushConstants(out);
    pairs_[index].Push(chunk, [&](ChangeChunk& whole) { Enter(index, whole, out); });
    if (run_) return;
    first_.top->SetReceiver(nullptr);
    first_.arena.Balance();
  }

  void EndStep(const ChangeReceiver& out) override {
    MILLRACE_CHECK(started_);
    if (!run_) first_.top->SetReceiver(&out);
    PushConstants(out);
    for (idx_t i = 0; i < pairs_.size(); i++) {
      pairs_[i].Flush([&](ChangeChunk& whole) { Enter(i, whole, out); });
    }
    if (run_) return run_->EndStep(out);
    for (auto& op : plan_.operators) op->CloseStep();
    first_.top->SetReceiver(nullptr);
    first_.arena.Balance();
  }

  void Save(StateStore& store) override {
    MILLRACE_CHECK(started_);
    StateWriter head(store, first_.arena, "dataflow", fingerprint_, false);
    head.Put(static_cast<uint8_t>(constants_pushed_));
    if (run_ && run_->Plan().spreads) {
      head.Put(static_cast<uint32_t>(Shards()));
      head.Put(Placement());
    }
    head.Finish();
    saved_.resize(plan_.operators.size());
    for (idx_t i = 0; i < plan_.operators.size(); i++) {
      if (plan_.operators[i]->HasState()) SaveOperator(i, store);
    }
  }

  void Load(StateStore& store) override {
    // Which operators there are is known after Start; until then the files wait, opened.
    auto head = store.Open("dataflow");
    if (head.size() != 1)
      Throw(ErrorCode::kCorrupt, "Loading the state of the query: there is none in the checkpoint");
    loaded_head_ = std::move(head[0]);
    for (idx_t i = 0; i < plan_.operators.size() + 8; i++) {
      auto pieces = store.Open(Key(i));
      if (!pieces.empty()) loaded_[i] = std::move(pieces);
    }
    if (started_) ApplyLoad();
  }

  std::string Fingerprint() const override { return fingerprint_; }

  std::string Explain() const override {
    std::string text;
    Explain(first_.top ? *first_.top : *plan_.root, 0, text);
    return text;
  }

  int64_t StateBytes() const override {
    int64_t bytes = 0;
    if (!started_) return 0;
    for (idx_t s = 0; s < Shards(); s++) {
      for (auto& op : ShardAt(s).plan.operators) bytes += op->NoteStateBytes();
    }
    return bytes;
  }

  std::vector<OperatorLine> Lines() const override {
    std::vector<OperatorLine> lines;
    AddLines(first_.top ? *first_.top : *plan_.root, 0, lines);
    return lines;
  }

  const std::string& Chance() const override { return plan_.chance; }

  std::vector<idx_t> Key() const override {
    std::vector<idx_t> shortest;
    for (const UniqueKey& key : plan_.root->unique_keys) {
      if (shortest.empty() || key.size() < shortest.size()) shortest = key;
    }
    return shortest;
  }

  bool KeepsState() const override {
    return std::any_of(plan_.operators.begin(), plan_.operators.end(),
                       [](const auto& op) { return op->HasState(); });
  }

  idx_t WantedRows() const override { return run_ ? run_->WantedRows() : 0; }
  void BeginStep(idx_t wanted_rows) override {
    if (run_) run_->SetRoundRows(wanted_rows);
  }

  void Trim() override {
    for (idx_t s = 0; s < Shards(); s++) ShardAt(s).arena.Balance();
    if (run_) run_->Free();
  }

 private:
  void Enter(idx_t input, ChangeChunk& chunk, const ChangeReceiver& out) {
    if (run_) return run_->Push(input, chunk, out);
    first_.entries[input]->Take(0, chunk);
  }

  static std::string Key(idx_t index) { return fmt::format("operator-{:03}", index); }

  StateMemory& Memory() { return options_.memory ? *options_.memory : *own_memory_; }
  idx_t Shards() const { return others_.size() + 1; }
  Shard& ShardAt(idx_t index) { return index == 0 ? first_ : *others_[index - 1]; }
  const Shard& ShardAt(idx_t index) const { return index == 0 ? first_ : *others_[index - 1]; }

  void StartShard(Shard& shard, const std::vector<ChangelogType>& input_types) {
    for (idx_t i = 0; i < input_types.size(); i++) StartInput(shard, i, input_types[i]);
    for (auto& op : shard.plan.operators) StartOperator(shard, *op);
    AddTop(shard);
  }

  void StartInput(Shard& shard, idx_t index, ChangelogType type) {
    auto& input = shard.plan.inputs[index];
    input.entry->type = type;
    input.entry->ordered = !IsSharedView(*input.table.definition);
    shard.entries.push_back(input.entry);
    if (type != ChangelogType::kUpsert) return;
    if (input.key.empty()) {
      Throw(ErrorCode::kInvalid,
            "Reading table {}: it sends upserts but has no primary key; declare PRIMARY KEY (...) "
            "NOT ENFORCED",
            input.table.definition->path.ToString());
    }
    auto& operators = shard.plan.operators;
    auto normaliser =
        std::make_unique<NormaliseOperator>(shard.arena, input.entry->Types(), input.key);
    input.entry->AddInput(*normaliser);
    shard.entries.back() = normaliser.get();
    normaliser->type = ChangelogType::kUpsert;
    if (options_.shards > 1) {  // Rows come anywhere, and move to the shards of their keys.
      auto feed = std::make_unique<PassOperator>(input.entry->Types(),
                                                 std::vector<std::optional<idx_t>>{}, "CHANGES");
      feed->type = ChangelogType::kUpsert;
      normaliser->AddInput(*feed);
      shard.entries.back() = feed.get();
      operators.insert(operators.begin(), std::move(normaliser));
      operators.insert(operators.begin(), std::move(feed));
      return;
    }
    operators.insert(operators.begin(), std::move(normaliser));
  }

  /// Puts the shards to work side by side, unless nothing is by key: then one does it all.
  void Divide() {
    std::vector<const Operator*> operators, constants;
    for (auto& op : plan_.operators) operators.push_back(op.get());
    for (auto& constant : plan_.constants) constants.push_back(constant.entry);
    auto phases = options_.aggregate_phases;
    ShardPlan plan = PlanShards(operators, constants, phases != AggregatePhases::kOne);
    if (!plan.spreads && !plan.combines) return others_.clear();
    std::vector<ShardedRun::Shard> shards;
    for (idx_t s = 0; s < Shards(); s++) {
      Shard& shard = ShardAt(s);
      ShardedRun::Shard run{&shard.arena, {}, shard.entries, shard.top};
      for (auto& op : shard.plan.operators) run.operators.push_back(op.get());
      shards.push_back(std::move(run));
    }
    ShardedRun::Options options{options_.threads, options_.workers, options_.small_step_rows,
                                options_.input_rows, phases == AggregatePhases::kTwo};
    run_ = std::make_unique<ShardedRun>(*context_, std::move(shards), std::move(plan), options);
  }

  /// Says where rows are among the shards.
  uint64_t Placement() const { return Fnv(run_->Plan().Text()) ^ HashProbe(); }

  static void StartOperator(const Shard& shard, Operator& op) {
    std::vector<ChangelogType> types;
    bool ordered = !op.HasState();
    for (Operator* input : op.Inputs()) {
      types.push_back(input->type);
      ordered = ordered && input->ordered;
    }
    if (types.empty()) {
      if (op.type == ChangelogType::kUpsert) types = {op.type};  // A normaliser, or its changes.
      auto& inputs = shard.plan.inputs;
      bool is_input = std::any_of(inputs.begin(), inputs.end(),
                                  [&](auto& input) { return input.entry == &op; });
      if (is_input) return;
    }
    op.type = op.Start(types);
    op.ordered = ordered;
    if (op.HasState()) {
      // Rows normalised by primary key come once per key and step.
      if (dynamic_cast<KeyedOperator*>(&op)) op.consolidated = true;
    }
  }

  /// What stands between the query and the sink: the rule for its key, or the step's net changes.
  void AddTop(Shard& shard) {
    Operator& root = *shard.plan.root;
    shard.top = &root;
    const UniqueKey& sink_key = options_.sink_key;
    auto contained = [&](const UniqueKey& key) {
      return std::all_of(key.begin(), key.end(), [&](idx_t column) {
        return std::find(sink_key.begin(), sink_key.end(), column) != sink_key.end();
      });
    };
    auto& keys = root.unique_keys;
    bool fits = sink_key.empty() || std::any_of(keys.begin(), keys.end(), contained);
    bool append = root.type == ChangelogType::kAppend;
    if (!fits) {
      if (root.ordered && append) return;  // Blind upserts: every row goes on, in order.
      return Top(shard, std::make_unique<SinkKeyOperator>(shard.arena, types_, sink_key));
    }
    if (root.ordered || append) return;
    bool same_key =
        sink_key.empty() || (std::any_of(keys.begin(), keys.end(), [&](const UniqueKey& key) {
          return contained(key) && key.size() == sink_key.size();
        }));
    if (root.consolidated && same_key) return;
    std::optional<UniqueKey> key;
    if (!sink_key.empty()) {
      key = sink_key;
    } else {
      for (auto& candidate : keys) {
        if (!key || candidate.size() < key->size()) key = candidate;
      }
    }
    Top(shard, std::make_unique<ConsolidateOperator>(shard.arena, types_, key));
  }

  static void Top(Shard& shard, std::unique_ptr<Operator> op) {
    op->AddInput(*shard.top);
    op->type = op->Start({shard.top->type});
    shard.top = op.get();
    shard.plan.operators.push_back(std::move(op));
  }

  void PushConstants(const ChangeReceiver& out) {
    if (constants_pushed_) return;
    constants_pushed_ = true;
    for (auto& constant : plan_.constants) {
      for (auto& rows : constant.chunks) {
        ChangeChunk chunk;
        chunk.rows.Move(*rows);
        if (run_) {
          run_->PushConstant(*constant.entry, chunk, out);
        } else {
          constant.entry->Take(0, chunk);
        }
      }
      constant.chunks.clear();
    }
  }

  void LoadHead() {
    StateReader reader(std::move(loaded_head_), first_.arena, fingerprint_, "the query");
    constants_pushed_ = reader.Get<uint8_t>();
    if (run_ && run_->Plan().spreads) {  // Else all state lies in the first.
      bool same = reader.Get<uint32_t>() == Shards() && reader.Get<uint64_t>() == Placement();
      if (!same) reader.Corrupt("its rows are divided among shards in another way");
    }
    reader.Finish();
  }

  void ApplyLoad() {
    LoadHead();
    saved_.resize(plan_.operators.size());
    for (auto& [index, pieces] : loaded_) {
      if (index >= plan_.operators.size() || !plan_.operators[index]->HasState()) {
        Throw(ErrorCode::kCorrupt,
              "Loading the state of the query: the plan has no operator {}; an input changed its "
              "changelog type. Start "
              "the job afresh",
              index);
      }
      LoadOperator(index, pieces);
    }
    for (idx_t i = 0; i < plan_.operators.size(); i++) {
      if (plan_.operators[i]->HasState() && !loaded_.count(i)) {
        Throw(ErrorCode::kCorrupt, "Loading the state of {}: it is missing from the checkpoint",
              plan_.operators[i]->Describe());
      }
    }
    loaded_.clear();
  }

  /// How an operator's state lies in the checkpoint.
  struct Saved {
    int64_t whole_bytes = 0;
    int64_t change_bytes = 0;  // Of all pieces that follow.
    int64_t pieces = 0;
  };

  /// Writes what has changed; all of it when the changes have become as much as that.
  void SaveOperator(idx_t index, StateStore& store) {
    Saved& saved = saved_[index];
    std::vector<Tracked*> stored;
    for (idx_t s = 0; s < ShardsOf(index); s++) {
      for (Tracked* rows : ShardAt(s).plan.operators[index]->Stored()) stored.push_back(rows);
    }
    bool changes = saved.pieces > 0 && saved.pieces < kMostPieces &&
                   saved.change_bytes <= std::max(saved.whole_bytes, kSmallBytes);
    bool changed =
        std::any_of(stored.begin(), stored.end(), [](Tracked* rows) { return rows->HasChanged(); });
    if (changes && !changed) return;
    const idx_t shards = ShardsOf(index);
    StateWriter writer(store, first_.arena, Key(index), fingerprint_, changes, shards > 1);
    if (shards == 1) {
      first_.arena.Enter(plan_.operators[index]->Section());
      plan_.operators[index]->Save(writer);
    } else {
      // What has changed is little, and not worth to wake others for.
      ForEachShard(index, changes ? 1 : options_.threads, [&](Shard& shard, idx_t s) {
        StateWriter part(writer, shard.arena, s);
        shard.plan.operators[index]->Save(part);
        part.Finish();
      });
    }
    writer.Finish();
    if (!changes) saved = {writer.Bytes(), 0, 0};
    if (changes) saved.change_bytes += writer.Bytes();
    saved.pieces++;
    for (Tracked* rows : stored) {
      rows->Settle();
      rows->Track();
    }
  }

  /// Calls `work` for each shard of an operator, in its turn.
  void ForEachShard(idx_t index, idx_t threads, const std::function<void(Shard&, idx_t)>& work) {
    auto work_at = [&](idx_t s) {
      Shard& shard = ShardAt(s);
      StateTurns::Turn turn(run_->Turns(), shard.arena, shard.plan.operators[index]->Section(), 0);
      work(shard, s);
    };
    if (threads > 1 && options_.workers) {
      return options_.workers->Run(ShardsOf(index), threads, work_at);
    }
    for (idx_t s = 0; s < ShardsOf(index); s++) work_at(s);
  }

  void LoadOperator(idx_t index, std::vector<std::unique_ptr<StateInput>>& pieces) {
    Saved& saved = saved_[index];
    const std::string what = plan_.operators[index]->Describe();
    for (auto& piece : pieces) {
      std::unique_ptr<StateInput> again = piece->Again();
      StateReader reader(std::move(piece), first_.arena, fingerprint_, what);
      if (reader.Changes() != (saved.pieces > 0)) reader.Corrupt("its pieces are mixed up");
      int64_t bytes = reader.InParts() ? LoadParts(index, *again, what) : LoadWhole(index, reader);
      (saved.pieces++ > 0 ? saved.change_bytes : saved.whole_bytes) += bytes;
    }
    for (idx_t s = 0; s < ShardsOf(index); s++) {
      Operator& op = *ShardAt(s).plan.operators[index];
      op.FinishLoad();
      for (Tracked* rows : op.Stored()) rows->Track();
    }
  }

  /// The state of all shards, one after the other; how many bytes it was.
  int64_t LoadWhole(idx_t index, StateReader& reader) {
    if (options_.workers && options_.threads > 1) reader.UseWorkers(*options_.workers);
    for (idx_t s = 0; s < ShardsOf(index); s++) {
      Operator& op = *ShardAt(s).plan.operators[index];
      reader.UseArena(ShardAt(s).arena);
      ShardAt(s).arena.Enter(op.Section());
      op.Load(reader);
    }
    reader.Finish();
    return reader.Bytes();
  }

  /// The same, side by side. Some functions in keys want a transaction, as when rows are pushed.
  int64_t LoadParts(idx_t index, const StateInput& input, const std::string& what) {
    std::atomic<int64_t> bytes{0};
    context_->RunFunctionInTransaction([&] {
      ForEachShard(index, options_.threads, [&](Shard& shard, idx_t s) {
        StateReader reader(input.Again(), shard.arena, fingerprint_, what);
        reader.ChoosePart(s);
        shard.plan.operators[index]->Load(reader);
        reader.Finish();
        bytes += reader.Bytes();
      });
    });
    return bytes;
  }

  /// In how many shards an operator works.
  idx_t ShardsOf(idx_t index) const {
    return run_ && !run_->Plan().nodes[index].one_shard ? Shards() : 1;
  }

  void Explain(const Operator& op, int depth, std::string& text) const {
    text += std::string(depth * 2, ' ') + op.Describe();
    if (started_) {
      text += fmt::format("  [{}]", ChangelogTypeName(op.type));
      if (run_) text += ShardText(op);
      std::string state = StateText(op);
      if (!state.empty()) text += "  {" + state + "}";
    }
    text += "\n";
    for (const Operator* input : op.Inputs()) Explain(*input, depth + 1, text);
  }

  idx_t IndexOf(const Operator& op) const {
    idx_t index = 0;
    while (plan_.operators[index].get() != &op) index++;
    return index;
  }

  void AddLines(const Operator& op, int depth, std::vector<OperatorLine>& lines) const {
    std::string text = op.Describe();
    if (started_) text += fmt::format("  [{}]", ChangelogTypeName(op.type));
    OperatorFigures figures;
    const idx_t index = IndexOf(op);
    for (idx_t s = 0; s < Shards(); s++) {
      figures.Add(ShardAt(s).plan.operators[index]->Figures());
    }
    lines.push_back({depth, std::move(text), figures});
    for (const Operator* input : op.Inputs()) AddLines(*input, depth + 1, lines);
  }

  /// What an operator keeps in all shards.
  std::string StateText(const Operator& op) const {
    const idx_t index = IndexOf(op);
    std::string text = op.DescribeState();
    for (idx_t s = 1; s < ShardsOf(index); s++) {
      text = SumNumbers(text, ShardAt(s).plan.operators[index]->DescribeState());
    }
    return text;
  }

  /// Which rows meet, and of how many shards they do.
  std::string ShardText(const Operator& op) const {
    const std::string& text = run_->Plan().nodes[IndexOf(op)].text;
    return text.empty() ? "" : "  <" + text + ">";
  }

  duckdb::shared_ptr<duckdb::ClientContext> context_;
  DataflowOptions options_;
  const std::unique_ptr<StateMemory> own_memory_;
  duckdb::vector<std::string> names_;
  duckdb::vector<LogicalType> types_;
  Shard first_;
  CompiledPlan& plan_ = first_.plan;
  std::vector<std::unique_ptr<Shard>> others_;
  std::unique_ptr<ShardedRun> run_;  // Null: there is one shard.
  std::vector<SourceTable> inputs_;
  std::vector<PairKeeper> pairs_;  // By input.
  std::string fingerprint_;
  std::unique_ptr<StateInput> loaded_head_;
  std::map<idx_t, std::vector<std::unique_ptr<StateInput>>> loaded_;
  std::vector<Saved> saved_;  // By operator.
  bool started_ = false;
  bool constants_pushed_ = false;
};

}  // namespace

std::unique_ptr<Dataflow> Dataflow::Compile(duckdb::ClientContext& context,
                                            const std::string& duck_sql,
                                            const DataflowOptions& options) {
  return std::make_unique<CompiledDataflow>(context, duck_sql, options);
}

std::unique_ptr<Dataflow> Dataflow::CompileAs(duckdb::ClientContext& context,
                                              const std::string& duck_sql,
                                              const DataflowOptions& options,
                                              const std::string& fingerprint) {
  auto flow = Compile(context, duck_sql, options);
  if (fingerprint.empty() || flow->Fingerprint() == fingerprint) return flow;
  DataflowOptions older = options;
  older.rules.multi_joins = false;
  auto before = Compile(context, duck_sql, older);
  return before->Fingerprint() == fingerprint ? std::move(before) : std::move(flow);
}

}  // namespace millrace
