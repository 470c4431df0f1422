// connector.h - the registry of connectors: `'connector' = 'x'` -> Source, Sink, known options.
//
// Connectors live in sql/connect and are named by app alone, which registers them here.
#pragma once

#include "io/clock.h"
#include "io/file_system.h"
#include "io/random.h"
#include "stream/sink.h"
#include "stream/source.h"

namespace duckdb {
class DatabaseInstance;
}

namespace millrace {

class StateMemory;
class WorkerPool;

/// What connectors and tables need from outside.
struct Environment {
  FileSystem& files;
  Clock& clock;
  Random& random;
  duckdb::DatabaseInstance& database;
  std::string data_folder;              // .millrace
  std::ostream& out;                    // For `print`.
  StateMemory* state_memory = nullptr;  // Of all jobs; null: each has its own, without a limit.
  WorkerPool* workers = nullptr;        // Threads that jobs share; null: each has its own alone.
};

struct OptionInfo {
  std::string name;  // "fields.#.min": '#' stands for a column.
  std::string description;
  bool required = false;
};

/// Makes sources and sinks of one `connector` value.
/// Threads: safe.
class Connector {
 public:
  virtual ~Connector() = default;
  virtual std::string Name() const = 0;
  /// Every option it knows (besides `connector`); others are refused with a suggestion.
  virtual std::vector<OptionInfo> KnownOptions() const = 0;
  /// Checks values and column types; called by CREATE TABLE and before use. Throws:
  /// Error(kInvalid).
  virtual void Validate(const TableDefinition& definition) const = 0;
  virtual bool CanRead() const { return false; }
  virtual bool CanWrite() const { return false; }
  /// Tables with equal keys in one job share one Source. Default: each its own.
  virtual std::string GroupKey(const TableDefinition& definition) const {
    return definition.path.ToString();
  }
  /// `bounded`: batch mode; read what is there now and end.
  virtual std::unique_ptr<Source> MakeSource(Environment& environment,
                                             const std::vector<SourceTable>& tables,
                                             bool bounded) const;
  /// `job` names the writing job for idempotence.
  virtual std::unique_ptr<Sink> MakeSink(Environment& environment,
                                         const TableDefinition& definition,
                                         const std::string& job) const;
};

/// All connectors of the program. Threads: filled before use, then read only.
class ConnectorRegistry {
 public:
  void Register(std::unique_ptr<Connector> connector);
  /// Throws: Error(kNotFound) listing the connectors, with a suggestion.
  const Connector& Get(const std::string& name) const;
  /// Get + unknown option check + Validate.
  void Check(const TableDefinition& definition) const;

 private:
  std::vector<std::unique_ptr<Connector>> connectors_;
};

}  // namespace millrace
