// dataflow.h - a query compiled to incremental operators: the change of its inputs -> the change of
// its output.
//
// Parsed, bound and optimised once by DuckDB (rules that read statistics or prepare batch execution
// are off), then compiled. After every EndStep the accumulated output equals the batch result over
// the inputs pushed so far (docs/ARCHITECTURE.md#one-semantics). Operators:
// docs/internals/operators.md.
#pragma once

#include "stream/operator_meter.h"
#include "stream/source.h"

namespace duckdb {
class ClientContext;
class LogicalOperator;
}  // namespace duckdb

namespace millrace {

class StateMemory;
class WorkerPool;

/// One stored value, read from front to back.
class StateInput {
 public:
  virtual ~StateInput() = default;
  /// How many bytes there were, fewer than `size` only at the end.
  virtual size_t Read(char* buffer, size_t size) = 0;
  /// Goes on so many bytes later.
  virtual void Skip(size_t size) = 0;
  /// The same from its beginning, for another reader.
  virtual std::unique_ptr<StateInput> Again() const = 0;
};

/// Operator state as named values; the checkpoint owns where they lie. A value is one piece, or
/// one and what has changed since, piece by piece. Our own versioned formats.
class StateStore {
 public:
  virtual ~StateStore() = default;
  /// Begins a piece of the value of `key`: it follows those that the last checkpoint has, or takes
  /// their place. What is not begun stays as it is there.
  virtual void Begin(const std::string& key, bool follows) = 0;
  /// Adds to the piece.
  virtual void Append(const std::string& key, std::string_view bytes) = 0;
  /// The piece is whole; when it is durable, the checkpoint knows.
  virtual void Close(const std::string& key) = 0;
  /// The pieces of a value, oldest first; empty when there is none. May be read after the store has
  /// gone.
  virtual std::vector<std::unique_ptr<StateInput>> Open(const std::string& key) = 0;
};

/// In a fingerprint, stands before the time zone that the results depend on.
inline constexpr char kFingerprintZone = '@';

/// Whether rows of a GROUP BY are summed up before they move to the shard of their group.
enum class AggregatePhases : uint8_t { kAuto, kOne, kTwo };

/// How a plan is compiled. State goes with a plan, so rules of earlier releases stay.
struct PlanRules {
  bool multi_joins = true;  // Several joins by one key are one operator.
};

struct DataflowOptions {
  /// Key columns of the sink (indexes into the output), empty if it has none. Where the query's own
  /// unique key differs, the dataflow keeps the live rows per key and shows the greatest.
  std::vector<idx_t> sink_key;
  /// The sink needs -U rows / order: otherwise they may be left out of upserts.
  bool sink_needs_old_rows = true;
  /// Where state lies; null: in memory of its own, without a limit.
  StateMemory* memory = nullptr;
  /// Into how many parts rows and state are divided by key, a power of two; 1: not at all. State is
  /// loaded with as many as it was saved with.
  idx_t shards = 1;
  /// Results are the same with each; kAuto: where keys repeat.
  AggregatePhases aggregate_phases = AggregatePhases::kAuto;
  PlanRules rules;
  /// How many threads work on them at once: the job's, and others of `workers`, which must outlive
  /// the dataflow. Output is the same with any number.
  idx_t threads = 1;
  WorkerPool* workers = nullptr;
  /// Steps of fewer rows are not worth waking others; for tests.
  idx_t small_step_rows = 4096;
  /// Of input, that wait at most; for tests.
  idx_t input_rows = 128 << 10;
};

/// A running query: owns its operators and their state, refers to no catalog entry.
///
/// Threads: owned by its job. Throws: Error(kData) with expression and row when evaluation fails;
/// Error(kUnsupported) from Compile with the reason and the way out.
class Dataflow {
 public:
  /// `duck_sql` is one query; its tables are found through the context's search path.
  static std::unique_ptr<Dataflow> Compile(duckdb::ClientContext& context,
                                           const std::string& duck_sql,
                                           const DataflowOptions& options);
  /// The same by the rules of `options`, or by those of an earlier release if the plan with this
  /// fingerprint is theirs. "": there is none.
  static std::unique_ptr<Dataflow> CompileAs(duckdb::ClientContext& context,
                                             const std::string& duck_sql,
                                             const DataflowOptions& options,
                                             const std::string& fingerprint);
  virtual ~Dataflow() = default;

  /// The tables it reads, one entry per distinct (table, options); columns are the union of what is
  /// used.
  virtual const std::vector<SourceTable>& Inputs() const = 0;
  virtual const duckdb::vector<std::string>& Names() const = 0;
  virtual const duckdb::vector<LogicalType>& Types() const = 0;
  /// Columns whose values are unique in the output together; empty: none are known.
  virtual std::vector<idx_t> Key() const { return {}; }

  /// Tells how far each input can be trusted, before the first Push; adds normalisers by primary
  /// key for upsert inputs. Returns the type of the output.
  virtual ChangelogType Start(const std::vector<ChangelogType>& input_types) = 0;
  /// Changes of input `index`. Stateless paths emit to `out` at once, in order.
  virtual void Push(idx_t index, ChangeChunk& chunk, const ChangeReceiver& out) = 0;
  /// The step is complete: stateful operators emit, for each key -old then +new.
  /// The first EndStep of a global aggregate emits its row even without input.
  virtual void EndStep(const ChangeReceiver& out) = 0;

  /// Between steps. Save writes what has changed since the last Save or Load, now and then all.
  /// Load: before the first Push, on a dataflow compiled from the same SQL.
  virtual void Save(StateStore& store) = 0;
  virtual void Load(StateStore& store) = 0;
  /// Changes when state of one plan cannot serve another. Where results depend on the session's
  /// time zone it ends with "@Europe/Prague".
  virtual std::string Fingerprint() const = 0;
  /// One operator a line, inputs indented: rule, changelog type, state, limits.
  virtual std::string Explain() const = 0;
  virtual int64_t StateBytes() const = 0;
  /// The same operators with what they have done so far, since Start; state as at the last
  /// StateBytes. Any thread, but not at the same time as Start.
  virtual std::vector<OperatorLine> Lines() const = 0;
  /// The volatile function whose values the result holds; "" when equal inputs give equal results.
  virtual const std::string& Chance() const = 0;
  /// Whether an operator remembers rows between steps. After Start.
  virtual bool KeepsState() const = 0;
  /// How many rows a step should have, when there are as many: more while state is on disk. 0: no
  /// wish. Between steps.
  virtual idx_t WantedRows() const { return 0; }
  /// What was wished for the step that begins: how its rows are taken through, and so the order of
  /// its output, depends on this (and not on where state lies).
  virtual void BeginStep(idx_t /*wanted_rows*/) {}
  /// Takes state out of memory when all jobs together hold too much; for a job that waits.
  virtual void Trim() = 0;
};

}  // namespace millrace
