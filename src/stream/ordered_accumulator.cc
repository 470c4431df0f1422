// ordered_accumulator.cc - aggregates that keep values: MIN, MAX and DISTINCT.
#include "stream/accumulator.h"
#include "stream/row_heap.h"

namespace millrace {

namespace {

/// MIN and MAX over inserts only: a flag, then the best value as a packed row of one column.
class BestAccumulator : public Accumulator {
 public:
  BestAccumulator(StateArena& arena, AggregateCall call)
      : call_(std::move(call)), layout_({call_.argument_type}), strings_(arena) {}
  idx_t Bytes() const override { return 8 + layout_.Width(); }
  void Update(Vector* argument, idx_t count, uint8_t* const* states, const uint64_t*,
              const int64_t* weights) override {
    std::vector<Vector*> columns = {argument};
    batch_.Fill(layout_, columns, count, false);
    for (idx_t i = 0; i < count; i++) {
      uint8_t* row = batch_.Row(i);
      if (weights[i] == 0 || layout_.IsNull(row, 0)) continue;
      if (weights[i] < 0) ThrowUnknownRow("Computing " + call_.text);
      Offer(states[i], row);
    }
  }
  void Finalize(uint8_t* const* states, idx_t count, Vector& result) override {
    std::vector<const uint8_t*> rows(count);
    for (idx_t i = 0; i < count; i++) rows[i] = states[i][0] ? states[i] + 8 : nullptr;
    layout_.Gather(0, rows.data(), count, result);
  }
  void Drop(uint8_t* state) override {
    if (state[0]) strings_.Release(layout_, state + 8);
    state[0] = 0;
  }
  duckdb::vector<LogicalType> SumTypes() const override { return {call_.argument_type}; }
  void TellSums(uint8_t* const* states, idx_t count, Vector* sums) override {
    Finalize(states, count, sums[0]);
  }
  void AddSums(Vector* sums, idx_t count, uint8_t* const* states) override {
    const std::vector<int64_t> ones(count, 1);
    Update(&sums[0], count, states, nullptr, ones.data());
  }
  RecordParts Parts(idx_t offset) const override {
    return {RecordPart::Plain(offset, 8), RecordPart::Columns(layout_, offset + 8)};
  }
  void Loaded(uint8_t* state) override {
    if (state[0]) strings_.Intern(layout_, state + 8);
  }
  void Unload(uint8_t* state) override { Drop(state); }
  int64_t StateBytes() const override { return strings_.Bytes(); }
  std::string DescribeState() const override { return "best value"; }

 private:
  void Offer(uint8_t* state, const uint8_t* row) {
    uint8_t* best = state + 8;
    if (state[0]) {
      int order = layout_.Compare(row, best, 0);
      if (call_.kind == AggregateKind::kMin ? order >= 0 : order <= 0) return;
      strings_.Release(layout_, best);
    }
    state[0] = 1;
    memcpy(best, row, layout_.Width());
    strings_.Intern(layout_, best);
  }

  AggregateCall call_;
  RowLayout layout_;
  StringStore strings_;
  RowBatch batch_;
};

/// MIN and MAX with deletes: all values of all groups counted in one table, a heap of them per
/// group.
class OrderedAccumulator : public Accumulator {
  struct Counted {
    int64_t count;
    HeapLinks links;
  };

  uint64_t IdOf(const uint8_t* value) const {
    uint64_t id;
    memcpy(&id, values_.Layout().ValueAt(value, 0), sizeof(id));
    return id;
  }
  RecordPart Columns() const { return RecordPart::Columns(values_.Layout()); }
  static uint8_t*& TopOf(uint8_t* state) { return *reinterpret_cast<uint8_t**>(state); }
  RecordPart CountPart() const {
    return RecordPart::Plain(values_.Layout().Width(), sizeof(int64_t));
  }
  Counted& Count(uint8_t* row) const { return values_.Payload<Counted>(row); }
  auto Heap() const {
    auto links = [this](uint8_t* row) -> HeapLinks& { return Count(row).links; };
    auto above = [this](const uint8_t* a, const uint8_t* b) {
      int order = values_.Layout().Compare(a, b, 1);
      return call_.kind == AggregateKind::kMin ? order < 0 : order > 0;
    };
    return RowHeap(links, above);
  }

 public:
  OrderedAccumulator(StateArena& arena, AggregateCall call)
      : call_(std::move(call)),
        values_(arena, RowLayout({LogicalType::UBIGINT, call_.argument_type}), sizeof(Counted)) {}
  idx_t Bytes() const override { return sizeof(uint8_t*); }  // The best value.
  void Update(Vector* argument, idx_t count, uint8_t* const* states, const uint64_t* groups,
              const int64_t* weights) override {
    Vector ids(LogicalType::UBIGINT, reinterpret_cast<data_ptr_t>(const_cast<uint64_t*>(groups)));
    std::vector<Vector*> columns = {&ids, argument};
    batch_.Fill(values_.Layout(), columns, count, true);
    for (idx_t i = 0; i < count; i++) {
      if (i + 8 < count) values_.Prefetch(batch_.HashOf(i + 8));
      uint8_t* row = batch_.Row(i);
      if (weights[i] == 0 || values_.Layout().IsNull(row, 1)) continue;
      Change(states[i], row, batch_.HashOf(i), weights[i]);
    }
  }
  void Finalize(uint8_t* const* states, idx_t count, Vector& result) override {
    std::vector<const uint8_t*> rows(count);
    for (idx_t i = 0; i < count; i++) rows[i] = TopOf(states[i]);
    values_.Layout().Gather(1, rows.data(), count, result);
  }
  void Drop(uint8_t* state) override {
    while (uint8_t* value = TopOf(state)) {
      Heap().Remove(TopOf(state), value);
      values_.Erase(value);
    }
  }
  RecordParts Parts(idx_t) const override { return {}; }
  void SaveGone(StateWriter& writer) override { writer.PutGone(values_, {Columns()}); }
  void LoadGone(StateReader& reader, const StateOf& state_of) override {
    reader.GetRecords({Columns()}, [&](RecordBlock& block) {
      EraseAll(values_, block, [&](uint8_t* value) {
        uint8_t* state = state_of(IdOf(value));
        if (!state) reader.Corrupt("a value of a group that is not there has gone");
        Heap().Remove(TopOf(state), value);
      });
    });
  }
  void Save(StateWriter& writer) override { writer.PutRows(values_, {Columns(), CountPart()}); }
  bool LooksForGroups() const override { return true; }
  void Load(StateReader& reader, const StateOf& state_of) override {
    TableLoader loader(values_, reader);
    reader.GetRecords({Columns(), CountPart()}, [&](RecordBlock& block) {
      loader.Add(block);
      for (idx_t i = 0; i < block.count; i++) {
        uint8_t* value = loader.Row(i);
        Count(value).count = block.Value<int64_t>(1, i);
        if (!loader.Created(i)) continue;
        uint8_t* state = state_of(IdOf(value));
        if (!state) reader.Corrupt("it holds values of a group that is not there");
        Heap().Insert(TopOf(state), value);
      }
    });
    loader.Finish();
  }
  Tracked* Stored() override { return &values_; }
  int64_t StateBytes() const override { return values_.Bytes(); }
  std::string DescribeState() const override { return "ordered values"; }

 private:
  void Change(uint8_t* state, const uint8_t* row, uint64_t hash, int64_t weight) {
    bool created;
    uint8_t* value = values_.FindOrCreate(row, hash, created);
    if (created) Heap().Insert(TopOf(state), value);
    values_.Touch(value);
    int64_t& count = Count(value).count;
    count += weight;
    if (count < 0) ThrowUnknownRow("Computing " + call_.text);
    if (count > 0) return;
    Heap().Remove(TopOf(state), value);
    values_.Erase(value);
  }

  AggregateCall call_;
  RowTable values_;
  RowBatch batch_;
};

/// DISTINCT before another accumulator: lets through the first of equal values and the last to
/// leave.
class DistinctAccumulator : public Accumulator {
 public:
  DistinctAccumulator(StateArena& arena, AggregateCall call, std::unique_ptr<Accumulator> inner)
      : call_(std::move(call)),
        inner_(std::move(inner)),
        values_(arena, RowLayout({LogicalType::UBIGINT, call_.argument_type}, true),
                sizeof(int64_t)) {}
  idx_t Bytes() const override { return inner_->Bytes(); }
  void Update(Vector* argument, idx_t count, uint8_t* const* states, const uint64_t* groups,
              const int64_t* weights) override {
    Vector ids(LogicalType::UBIGINT, reinterpret_cast<data_ptr_t>(const_cast<uint64_t*>(groups)));
    std::vector<Vector*> columns = {&ids, argument};
    batch_.Fill(values_.Layout(), columns, count, true);
    passed_.assign(count, 0);
    for (idx_t i = 0; i < count; i++) {
      if (i + 8 < count) values_.Prefetch(batch_.HashOf(i + 8));
      if (weights[i] == 0 || values_.Layout().IsNull(batch_.Row(i), 1)) continue;
      bool created;
      uint8_t* row = values_.FindOrCreate(batch_.Row(i), batch_.HashOf(i), created);
      values_.Touch(row);
      auto& seen = values_.Payload<int64_t>(row);
      if (seen == 0) passed_[i] = 1;
      seen += weights[i];
      if (seen < 0) ThrowUnknownRow("Computing " + call_.text);
      if (seen == 0) {
        passed_[i] = -1;
        values_.Erase(row);
      }
    }
    inner_->Update(argument, count, states, groups, passed_.data());
  }
  void Finalize(uint8_t* const* states, idx_t count, Vector& result) override {
    inner_->Finalize(states, count, result);
  }
  void Drop(uint8_t* state) override { inner_->Drop(state); }
  RecordParts Parts(idx_t offset) const override { return inner_->Parts(offset); }
  void Loaded(uint8_t* state) override { inner_->Loaded(state); }
  void Unload(uint8_t* state) override { inner_->Unload(state); }
  void SaveGone(StateWriter& writer) override {
    writer.PutGone(values_, {RecordPart::Columns(values_.Layout())});
  }
  void LoadGone(StateReader& reader, const StateOf&) override {
    reader.GetRecords({RecordPart::Columns(values_.Layout())},
                      [&](RecordBlock& block) { EraseAll(values_, block); });
  }
  void Save(StateWriter& writer) override {
    writer.PutRows(values_, {RecordPart::Columns(values_.Layout()), SeenPart()});
  }
  void Load(StateReader& reader, const StateOf&) override {
    TableLoader loader(values_, reader);
    RecordParts parts = {RecordPart::Columns(values_.Layout()), SeenPart()};
    reader.GetRecords(parts, [&](RecordBlock& block) {
      loader.Add(block);
      for (idx_t i = 0; i < block.count; i++) {
        values_.Payload<int64_t>(loader.Row(i)) = block.Value<int64_t>(1, i);
      }
    });
    loader.Finish();
  }
  Tracked* Stored() override { return &values_; }
  int64_t StateBytes() const override { return values_.Bytes() + inner_->StateBytes(); }
  std::string DescribeState() const override {
    return "distinct values, " + inner_->DescribeState();
  }

 private:
  RecordPart SeenPart() const {
    return RecordPart::Plain(values_.Layout().Width(), sizeof(int64_t));
  }

  AggregateCall call_;
  std::unique_ptr<Accumulator> inner_;
  RowTable values_;
  RowBatch batch_;
  std::vector<int64_t> passed_;
};

}  // namespace

std::unique_ptr<Accumulator> MakeOrdered(StateArena& arena, const AggregateCall& call,
                                         bool append_only) {
  if (append_only) return std::make_unique<BestAccumulator>(arena, call);
  return std::make_unique<OrderedAccumulator>(arena, call);
}

std::unique_ptr<Accumulator> MakeDistinct(StateArena& arena, const AggregateCall& call,
                                          std::unique_ptr<Accumulator> inner) {
  return std::make_unique<DistinctAccumulator>(arena, call, std::move(inner));
}

}  // namespace millrace
