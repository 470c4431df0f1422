#include "stream/sharded_run.h"

#include <algorithm>

#include "duckdb/main/client_context.hpp"
#include "io/worker_pool.h"

namespace millrace {

namespace {

constexpr idx_t kMostSent = 64 << 10;  // By a shard at a time, and the fan-out of one chunk.
constexpr idx_t kStretchRows = 8192;   // Of input, that one group takes at least.
constexpr idx_t kGroups = 8;           // And more where there are more than 32 shards.

// With state on disk each of its extents is brought in and written about once a round, which takes
// as long as a few hundred rows, thousands where the disk is waited for. So rows wait below the
// first level that has state until they are many. They wait in a file, what is still in memory
// takes a share of the state's; rows with nested values wait in memory, and are fewer.
constexpr idx_t kRowsAnExtent = 4096;
constexpr idx_t kMostRoundRows = 16 << 20;
constexpr int64_t kWaitingShare = 8;
constexpr idx_t kDirectRowsOnDisk = 256;
constexpr idx_t kMostSections = 64;

std::vector<StateArena*> ArenasOf(const std::vector<ShardedRun::Shard>& shards) {
  std::vector<StateArena*> arenas;
  for (const ShardedRun::Shard& shard : shards) arenas.push_back(shard.arena);
  return arenas;
}

/// What a row takes in a chunk, texts aside.
int64_t RowBytes(const duckdb::vector<LogicalType>& types) {
  int64_t bytes = 2;  // Its kind, and whether values are NULL.
  for (const LogicalType& type : types) {
    bytes += static_cast<int64_t>(duckdb::GetTypeIdSize(type.InternalType()));
  }
  return bytes;
}

}  // namespace

ShardedRun::ShardedRun(duckdb::ClientContext& context, std::vector<Shard> shards, ShardPlan plan,
                       const Options& options)
    : context_(context),
      shards_(std::move(shards)),
      plan_(std::move(plan)),
      options_(options),
      turns_(ArenasOf(shards_)),
      groups_(std::min<idx_t>(shards_.size(), std::max<idx_t>(kGroups, shards_.size() / 4))),
      levels_(plan_.levels),
      level_rows_(plan_.levels),
      progress_(shards_.size()),
      touched_(shards_.size(), 1) {
  for (idx_t group = 0; group < groups_; group++) {
    combining_.push_back(std::make_unique<StateArena>(shards_[0].arena->Memory()));
  }
  Connect();
  for (const Shard& shard : shards_) {
    for (idx_t op = 0; op < plan_.nodes.size(); op++) {
      // More levels than sections share the last one.
      idx_t section = std::min<idx_t>(plan_.nodes[op].level, kMostSections - 1);
      shard.operators[op]->SetSection(static_cast<uint8_t>(section));
    }
  }
  for (Operator* entry : shards_[0].entries) {
    inputs_.push_back({std::make_unique<ChangeBuffer>(entry->Types(), kChunkRows), {}});
  }
  for (idx_t s = 0; s < shards_.size(); s++) {
    progress_[s].output = std::make_unique<ChangeBuffer>(shards_[0].top->Types(), kChunkRows);
    progress_[s].receiver = [this, s](ChangeChunk& chunk) { EmitOutput(s, chunk); };
    shards_[s].top->SetReceiver(&progress_[s].receiver);
  }
  CountWaiting();
  SetRoundRows(0);
}

/// What may wait, and whether it can in a file.
void ShardedRun::CountWaiting() {
  const auto& output = shards_[0].top->Types();
  auto shards = static_cast<int64_t>(shards_.size());
  int64_t taken_in = 1, sent = 0;  // A row of input takes one of the ways from level 0.
  buffer_row_bytes_ = RowBytes(output) * shards;
  can_spool_ = ChangeSpool::Takes(output);
  for (const Edge& edge : edges_) {
    int64_t bytes = RowBytes(edge.exchange->Types());
    if (edge.from_level == 0) {
      taken_in = std::max(taken_in, bytes);
    } else {
      sent += bytes;
    }
    buffer_row_bytes_ += bytes * shards * static_cast<int64_t>(groups_);
    can_spool_ &= ChangeSpool::Takes(edge.exchange->Types());
  }
  row_bytes_ = taken_in + sent + RowBytes(output);
}

ShardedRun::~ShardedRun() {
  for (const Shard& shard : shards_) shard.top->SetReceiver(nullptr);
}

void ShardedRun::Connect() {
  for (idx_t op = 0; op < plan_.nodes.size(); op++) {
    const ShardPlan::Node& node = plan_.nodes[op];
    levels_[node.level].push_back(op);
    for (idx_t port = 0; port < node.inputs.size(); port++) {
      if (node.inputs[port].moves) AddExchange(op, port);
    }
  }
}

void ShardedRun::AddExchange(idx_t op, idx_t port) {
  const ShardPlan::Node& node = plan_.nodes[op];
  std::vector<Operator*> to;
  for (const Shard& shard : shards_) to.push_back(shard.operators[op]);
  auto exchange = std::make_unique<Exchange>(to[0]->Inputs()[port]->Types(), to, port, groups_);
  const auto& operators = shards_[0].operators;
  auto from = std::find(operators.begin(), operators.end(), to[0]->Inputs()[port]);
  Operator* by = nullptr;  // Of the group at hand.
  for (idx_t s = 0; s < shards_.size(); s++) {
    Operator& receiver = *to[s];
    if (s == 0 || GroupOf(s) != GroupOf(s - 1)) {
      Exchange::Sender sender;
      const ShardRule rule = receiver.RuleOf(port);
      for (idx_t key : node.inputs[port].keys) sender.keys.push_back(rule.keys[key]->Copy());
      if (node.combines) sender.combiner = receiver.MakeCombiner(context_, *combining_[GroupOf(s)]);
      sender.combined_keys = node.inputs[port].keys;
      sender.always = options_.always_combine;
      by = &exchange->AddSender(context_, std::move(sender));
    }
    receiver.Inputs()[port]->Redirect(receiver, port, *by);
  }
  idx_t from_level = plan_.nodes[static_cast<idx_t>(from - operators.begin())].level;
  edges_.push_back({from_level, node.level, std::move(exchange)});
}

void ShardedRun::EmitOutput(idx_t shard, ChangeChunk& chunk) {
  Progress& progress = progress_[shard];
  progress.output_rows += chunk.size();
  if (inline_) return (*out_)(chunk);
  progress.output->Append(chunk, nullptr, chunk.size());
}

void ShardedRun::Deliver() {
  for (Progress& progress : progress_) {
    for (idx_t i = 0; i < progress.output->Chunks(); i++) (*out_)(progress.output->Chunk(i));
    progress.output->Clear();
  }
}

void ShardedRun::SetDirect(bool direct) {
  for (Edge& edge : edges_) edge.exchange->SetDirect(direct ? &touched_ : nullptr);
}

void ShardedRun::Push(idx_t input, ChangeChunk& chunk, const ChangeReceiver& out) {
  inputs_[input].rows->Append(chunk, nullptr, chunk.size());
  input_rows_ += chunk.size();
  if (input_rows_ < options_.input_rows) return;
  out_ = &out;
  idx_t waiting = input_rows_;
  for (idx_t s = 0; LargeRounds() && s < shards_.size(); s++) {
    for (const Edge& edge : edges_) waiting += edge.exchange->Waiting(s);
  }
  if (waiting < round_rows_) {
    TakeIn(Ends::kNothing);
  } else {
    RunLevels(Ends::kRound);
  }
}

void ShardedRun::PushConstant(Operator& entry, ChangeChunk& chunk, const ChangeReceiver& out) {
  out_ = &out;
  SetDirect(true);
  entry.Take(0, chunk);
  SetDirect(false);
}

void ShardedRun::EndStep(const ChangeReceiver& out) {
  out_ = &out;
  if (first_round_ && input_rows_ < direct_rows_) {
    RunDirect();
  } else {
    RunLevels(Ends::kStep);
  }
  first_round_ = true;
  std::fill(level_rows_.begin(), level_rows_.end(), 0);
  std::fill(touched_.begin(), touched_.end(), 0);
  shards_[0].arena->Balance();  // They look after each other.
}

idx_t ShardedRun::WantedRows() const {
  idx_t wanted = static_cast<idx_t>(turns_.MappedExtents()) * kRowsAnExtent;
  idx_t most = kMostRoundRows;
  if (!can_spool_) {
    most = static_cast<idx_t>(std::max<int64_t>(turns_.EvenPart() / kWaitingShare / row_bytes_, 1));
  }
  wanted = std::min(wanted, most) / options_.input_rows * options_.input_rows;
  return wanted <= options_.input_rows ? 0 : wanted;
}

void ShardedRun::SetRoundRows(idx_t rows) {
  round_rows_ = std::max(rows, options_.input_rows);
  direct_rows_ = options_.small_rows;
  if (LargeRounds()) direct_rows_ = std::min(direct_rows_, kDirectRowsOnDisk);
  turns_.SetAside(LargeRounds() ? turns_.EvenPart() / kWaitingShare : 0);
  if (LargeRounds() && can_spool_) {
    auto file = spool_ ? nullptr : turns_.MakeFile();
    if (file) spool_ = std::make_unique<ChangeSpool>(std::move(file));
    UseSpool(spool_.get());
  } else {
    UseSpool(nullptr);
  }
}

void ShardedRun::UseSpool(ChangeSpool* spool) {
  auto most = static_cast<idx_t>(turns_.EvenPart() / kWaitingShare / buffer_row_bytes_);
  if (!spool && !spooling_) return;  // Most steps are small.
  spooling_ = spool != nullptr;
  for (Progress& progress : progress_) progress.output->SetSpool(spool, most);
  for (Edge& edge : edges_) edge.exchange->SetSpool(spool, most);
}

void ShardedRun::RunDirect() {
  SetDirect(true);
  touched_[0] = 1;
  for (idx_t i = 0; i < inputs_.size(); i++) {
    ChangeBuffer& rows = *inputs_[i].rows;
    for (idx_t c = 0; c < rows.Chunks(); c++) shards_[0].entries[i]->Take(0, rows.Chunk(c));
    rows.Clear();
  }
  input_rows_ = 0;
  for (idx_t op = 0; op < plan_.nodes.size(); op++) {
    idx_t shards = plan_.nodes[op].one_shard ? 1 : shards_.size();
    for (idx_t s = 0; s < shards; s++) {
      if (touched_[s]) shards_[s].operators[op]->CloseStep();
    }
  }
  SetDirect(false);
}

void ShardedRun::DivideInput() {
  // Stretches that are too short would come to the shards above in small pieces.
  idx_t stretches = std::clamp<idx_t>(input_rows_ / kStretchRows, 1, groups_);
  for (Input& input : inputs_) {
    ChangeBuffer& rows = *input.rows;
    idx_t chunk = 0, taken = 0;
    auto splits_update = [&] {
      const ChangeChunk& last = rows.Chunk(chunk - 1);
      return last.KindOf(last.size() - 1) == RowKind::kUpdateBefore;
    };
    input.ends.clear();
    for (idx_t s = 1; s <= groups_; s++) {
      idx_t wanted = rows.Rows() * std::min(s, stretches) / stretches;
      while (chunk < rows.Chunks() && (taken < wanted || (chunk > 0 && splits_update()))) {
        taken += rows.Chunk(chunk++).size();
      }
      input.ends.push_back(chunk);
    }
  }
}

/// By the first shard of a group.
void ShardedRun::TakeInput(idx_t shard) {
  idx_t group = GroupOf(shard);
  if (shard > 0 && GroupOf(shard - 1) == group) return;
  for (idx_t i = 0; i < inputs_.size(); i++) {
    idx_t begin = group == 0 ? 0 : inputs_[i].ends[group - 1];
    for (idx_t c = begin; c < inputs_[i].ends[group]; c++) {
      shards_[shard].entries[i]->Take(0, inputs_[i].rows->Chunk(c));
    }
  }
}

// In a transaction: some functions want one (Evaluator), and threads cannot each begin their own in
// the one context that all expressions were bound in.
void ShardedRun::TakeIn(Ends ends) {
  first_round_ = false;
  large_ = true;
  DivideInput();
  for (Progress& progress : progress_) progress.done = false;
  context_.RunFunctionInTransaction([&] {
    RunLevel(0, [this, ends](idx_t shard) {
      TakeInput(shard);  // As a whole: stretches of the input follow each other.
      if (ends != Ends::kNothing) EndLevel(shard, 0, ends);
    });
  });
  for (Input& input : inputs_) input.rows->Clear();
  input_rows_ = 0;
}

void ShardedRun::RunLevels(Ends ends) {
  TakeIn(ends);
  context_.RunFunctionInTransaction([&] {
    for (idx_t level = 1; level < plan_.levels; level++) TakeThrough(level, ends);
  });
}

void ShardedRun::TakeThrough(idx_t level, Ends ends) {
  for (Progress& progress : progress_) progress.done = false;
  auto done = [](const Progress& progress) { return progress.done; };
  while (!std::all_of(progress_.begin(), progress_.end(), done)) {
    // What has gone up already goes on first, so that little lies between levels.
    idx_t above = plan_.levels - 1;
    while (above > level && !AnyWaits(above)) above--;
    if (above > level) {
      RunLevel(above, [this, above](idx_t shard) { (void)Receive(shard, above); });
    } else {
      RunLevel(level, [this, level, ends](idx_t shard) {
        if (!progress_[shard].done && Receive(shard, level)) EndLevel(shard, level, ends);
      });
    }
  }
}

bool ShardedRun::AnyWaits(idx_t level) const {
  for (idx_t s = 0; s < shards_.size(); s++) {
    if (Waiting(s, level) > 0) return true;
  }
  return false;
}

idx_t ShardedRun::Waiting(idx_t shard, idx_t level) const {
  idx_t rows = 0;
  for (const Edge& edge : edges_) {
    if (edge.level == level) rows += edge.exchange->Waiting(shard);
  }
  return rows;
}

/// Calls `work` for each shard; in several threads when there is enough to do.
void ShardedRun::RunLevel(idx_t level, const std::function<void(idx_t)>& work) {
  std::vector<idx_t> rows(shards_.size()), of_group(groups_), order(groups_);
  for (idx_t s = 0; s < shards_.size(); s++) {
    rows[s] = level == 0 ? input_rows_ / shards_.size() : Waiting(s, level);
    of_group[GroupOf(s)] += rows[s];
    level_rows_[level] += rows[s];
  }
  auto section = static_cast<uint8_t>(std::min<idx_t>(level, kMostSections - 1));
  auto work_at = [&](idx_t group) {
    for (idx_t s = 0; s < shards_.size(); s++) {
      if (GroupOf(s) != group) continue;
      StateTurns::Turn turn(turns_, *shards_[s].arena, section, rows[s]);
      work(s);
    }
  };
  for (idx_t group = 0; group < groups_; group++) order[group] = group;
  if (options_.threads < 2 || !options_.workers || level_rows_[level] < options_.small_rows) {
    for (idx_t group : order) work_at(group);
    return;
  }
  // The longest parts first, lest one of them is the last.
  std::stable_sort(order.begin(), order.end(),
                   [&](idx_t a, idx_t b) { return of_group[a] > of_group[b]; });
  inline_ = false;
  options_.workers->Run(order.size(), options_.threads, [&](size_t i) { work_at(order[i]); });
  inline_ = true;
  Deliver();
}

void ShardedRun::EndLevel(idx_t shard, idx_t level, Ends ends) {
  progress_[shard].done = true;
  for (idx_t op : levels_[level]) {
    if (ends == Ends::kStep && (!plan_.nodes[op].one_shard || shard == 0)) {
      shards_[shard].operators[op]->CloseStep();
    }
  }
  for (idx_t s = 0; s < shards_.size(); s++) {
    if (GroupOf(s) == GroupOf(shard) && !progress_[s].done) return;
  }
  for (Edge& edge : edges_) {
    if (edge.from_level == level) edge.exchange->EndRound(GroupOf(shard));
  }
}

bool ShardedRun::Receive(idx_t shard, idx_t level) {
  idx_t before = Sent(shard);
  idx_t most_sent = std::max(kMostSent, 2 * round_rows_ / shards_.size());
  for (Edge& edge : edges_) {
    if (edge.level != level) continue;
    while (edge.exchange->Receive(shard)) {
      if (Sent(shard) - before > most_sent) return false;
    }
  }
  return true;
}

idx_t ShardedRun::Sent(idx_t shard) const {
  idx_t rows = progress_[shard].output_rows;
  for (const Edge& edge : edges_) rows += edge.exchange->Sent(GroupOf(shard));
  return rows;
}

void ShardedRun::Free() {
  if (!large_) return;
  large_ = false;
  for (Input& input : inputs_) input.rows->Free();
  for (Progress& progress : progress_) progress.output->Free();
  for (Edge& edge : edges_) edge.exchange->Free();
  UseSpool(nullptr);
  spool_.reset();
}

}  // namespace millrace
