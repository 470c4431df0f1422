#include "stream/dataflow.h"

#include <algorithm>

#include "duckdb/common/type_visitor.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"
#include "stream/keyed_operators.h"
#include "stream/multiset_operators.h"
#include "stream/pair_keeper.h"
#include "stream/plan_compiler.h"

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

// A checkpoint of an operator is one whole piece and what has changed since, until that is as much.
constexpr int64_t kSmallBytes = 1 << 20;
constexpr int64_t kMostPieces = 256;

class CompiledDataflow : public Dataflow {
 public:
  CompiledDataflow(duckdb::ClientContext& context, const std::string& sql, DataflowOptions options)
      : context_(context.shared_from_this()),
        options_(std::move(options)),
        own_memory_(options_.memory ? nullptr : std::make_unique<StateMemory>()),
        arena_(options_.memory ? *options_.memory : *own_memory_) {
    BoundPlan bound = BindStreamingPlan(context, sql);
    names_ = bound.names;
    types_ = bound.types;
    bool asks_clocks = AsksClocks(*bound.root);
    // Some functions ask for a transaction when their state is made.
    context.RunFunctionInTransaction(
        [&] { plan_ = PlanCompiler(context, arena_).Compile(std::move(bound.root)); });
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
    for (idx_t i = 0; i < input_types.size(); i++) StartInput(i, input_types[i]);
    pairs_ = std::vector<PairKeeper>(input_types.size());
    for (auto& op : plan_.operators) StartOperator(*op);
    AddTop();
    if (!loaded_.empty()) ApplyLoad();
    return top_->type;
  }

  void Push(idx_t index, ChangeChunk& chunk, const ChangeReceiver& out) override {
    MILLRACE_CHECK(started_ && index < entries_.size());
    if (chunk.size() == 0) return;
    top_->SetReceiver(&out);
    PushConstants();
    pairs_[index].Push(chunk, [&](ChangeChunk& whole) { entries_[index]->Take(0, whole); });
    top_->SetReceiver(nullptr);
    arena_.Balance();
  }

  void EndStep(const ChangeReceiver& out) override {
    MILLRACE_CHECK(started_);
    top_->SetReceiver(&out);
    PushConstants();
    for (idx_t i = 0; i < pairs_.size(); i++) {
      pairs_[i].Flush([&](ChangeChunk& whole) { entries_[i]->Take(0, whole); });
    }
    for (auto& op : plan_.operators) op->CloseStep();
    top_->SetReceiver(nullptr);
    arena_.Balance();
  }

  void Save(StateStore& store) override {
    MILLRACE_CHECK(started_);
    StateWriter head(store, arena_, "dataflow", fingerprint_, false);
    head.Put(static_cast<uint8_t>(constants_pushed_));
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
    StateReader reader(std::move(head[0]), arena_, fingerprint_, "the query");
    constants_pushed_ = reader.Get<uint8_t>();
    reader.Finish();
    for (idx_t i = 0; i < plan_.operators.size() + 8; i++) {
      auto pieces = store.Open(Key(i));
      if (!pieces.empty()) loaded_[i] = std::move(pieces);
    }
    if (started_) ApplyLoad();
  }

  std::string Fingerprint() const override { return fingerprint_; }

  std::string Explain() const override {
    std::string text;
    Explain(top_ ? *top_ : *plan_.root, 0, text);
    return text;
  }

  int64_t StateBytes() const override {
    int64_t bytes = 0;
    if (!started_) return 0;
    for (auto& op : plan_.operators) bytes += op->NoteStateBytes();
    return bytes;
  }

  std::vector<OperatorLine> Lines() const override {
    std::vector<OperatorLine> lines;
    AddLines(top_ ? *top_ : *plan_.root, 0, lines);
    return lines;
  }

  const std::string& Chance() const override { return plan_.chance; }

  bool KeepsState() const override {
    return std::any_of(plan_.operators.begin(), plan_.operators.end(),
                       [](const auto& op) { return op->HasState(); });
  }

  void Trim() override { arena_.Balance(); }

 private:
  static std::string Key(idx_t index) { return fmt::format("operator-{:03}", index); }

  void StartInput(idx_t index, ChangelogType type) {
    auto& input = plan_.inputs[index];
    input.entry->type = type;
    input.entry->ordered = true;
    entries_.push_back(input.entry);
    if (type != ChangelogType::kUpsert) return;
    if (input.key.empty()) {
      Throw(ErrorCode::kInvalid,
            "Reading table {}: it sends upserts but has no primary key; declare PRIMARY KEY (...) "
            "NOT ENFORCED",
            input.table.definition->path.ToString());
    }
    auto normaliser = std::make_unique<NormaliseOperator>(arena_, input.entry->Types(), input.key);
    input.entry->AddInput(*normaliser);
    entries_.back() = normaliser.get();
    normaliser->type = ChangelogType::kUpsert;
    plan_.operators.insert(plan_.operators.begin(), std::move(normaliser));
  }

  void StartOperator(Operator& op) {
    std::vector<ChangelogType> types;
    bool ordered = !op.HasState();
    for (Operator* input : op.Inputs()) {
      types.push_back(input->type);
      ordered = ordered && input->ordered;
    }
    if (types.empty()) {
      if (op.type == ChangelogType::kUpsert) types = {ChangelogType::kUpsert};  // A normaliser.
      bool is_input = std::any_of(plan_.inputs.begin(), plan_.inputs.end(),
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
  void AddTop() {
    top_ = plan_.root;
    const UniqueKey& sink_key = options_.sink_key;
    auto contained = [&](const UniqueKey& key) {
      return std::all_of(key.begin(), key.end(), [&](idx_t column) {
        return std::find(sink_key.begin(), sink_key.end(), column) != sink_key.end();
      });
    };
    auto& keys = plan_.root->unique_keys;
    bool fits = sink_key.empty() || std::any_of(keys.begin(), keys.end(), contained);
    bool append = top_->type == ChangelogType::kAppend;
    if (!fits) {
      if (top_->ordered && append) return;  // Blind upserts: every row goes on, in order.
      return Top(std::make_unique<SinkKeyOperator>(arena_, types_, sink_key));
    }
    if (top_->ordered || append) return;
    bool same_key =
        sink_key.empty() || (std::any_of(keys.begin(), keys.end(), [&](const UniqueKey& key) {
          return contained(key) && key.size() == sink_key.size();
        }));
    if (top_->consolidated && same_key) return;
    std::optional<UniqueKey> key;
    if (!sink_key.empty()) {
      key = sink_key;
    } else {
      for (auto& candidate : keys) {
        if (!key || candidate.size() < key->size()) key = candidate;
      }
    }
    Top(std::make_unique<ConsolidateOperator>(arena_, types_, key));
  }

  void Top(std::unique_ptr<Operator> op) {
    op->AddInput(*top_);
    op->type = op->Start({top_->type});
    top_ = op.get();
    plan_.operators.push_back(std::move(op));
  }

  void PushConstants() {
    if (constants_pushed_) return;
    constants_pushed_ = true;
    for (auto& constant : plan_.constants) {
      for (auto& rows : constant.chunks) {
        ChangeChunk chunk;
        chunk.rows.Move(*rows);
        constant.entry->Take(0, chunk);
      }
      constant.chunks.clear();
    }
  }

  void ApplyLoad() {
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
    Operator& op = *plan_.operators[index];
    Saved& saved = saved_[index];
    auto stored = op.Stored();
    bool changes = saved.pieces > 0 && saved.pieces < kMostPieces &&
                   saved.change_bytes <= std::max(saved.whole_bytes, kSmallBytes);
    bool changed =
        std::any_of(stored.begin(), stored.end(), [](Tracked* rows) { return rows->HasChanged(); });
    if (changes && !changed) return;
    StateWriter writer(store, arena_, Key(index), fingerprint_, changes);
    op.Save(writer);
    writer.Finish();
    if (!changes) saved = {writer.Bytes(), 0, 0};
    if (changes) saved.change_bytes += writer.Bytes();
    saved.pieces++;
    for (Tracked* rows : stored) {
      rows->Settle();
      rows->Track();
    }
  }

  void LoadOperator(idx_t index, std::vector<std::unique_ptr<StateInput>>& pieces) {
    Operator& op = *plan_.operators[index];
    Saved& saved = saved_[index];
    for (auto& piece : pieces) {
      StateReader reader(std::move(piece), arena_, fingerprint_, op.Describe());
      if (reader.Changes() != (saved.pieces > 0)) reader.Corrupt("its pieces are mixed up");
      op.Load(reader);
      reader.Finish();
      (saved.pieces++ > 0 ? saved.change_bytes : saved.whole_bytes) += reader.Bytes();
    }
    op.FinishLoad();
    for (Tracked* rows : op.Stored()) rows->Track();
  }

  void Explain(const Operator& op, int depth, std::string& text) const {
    text += std::string(depth * 2, ' ') + op.Describe();
    if (started_) {
      text += fmt::format("  [{}]", ChangelogTypeName(op.type));
      std::string state = op.DescribeState();
      if (!state.empty()) text += "  {" + state + "}";
    }
    text += "\n";
    for (const Operator* input : op.Inputs()) Explain(*input, depth + 1, text);
  }

  void AddLines(const Operator& op, int depth, std::vector<OperatorLine>& lines) const {
    std::string text = op.Describe();
    if (started_) text += fmt::format("  [{}]", ChangelogTypeName(op.type));
    lines.push_back({depth, std::move(text), op.Figures()});
    for (const Operator* input : op.Inputs()) AddLines(*input, depth + 1, lines);
  }

  duckdb::shared_ptr<duckdb::ClientContext> context_;
  DataflowOptions options_;
  const std::unique_ptr<StateMemory> own_memory_;
  StateArena arena_;  // Before the operators, whose state lies in it.
  duckdb::vector<std::string> names_;
  duckdb::vector<LogicalType> types_;
  CompiledPlan plan_;
  std::vector<SourceTable> inputs_;
  std::vector<Operator*>
      entries_;                    // Where chunks of each input go in: the table or its normaliser.
  std::vector<PairKeeper> pairs_;  // By input.
  Operator* top_ = nullptr;
  std::string fingerprint_;
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

}  // namespace millrace
