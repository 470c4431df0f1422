// source_groups.h - which tables of a job share a source: those with one history. The order of the
// groups is the order of the positions in a cut.
#pragma once

#include "stream/connector.h"

namespace millrace {

/// Tells inputs apart: a table under equal options is read once, whoever wants it.
std::string InputKey(const TableDefinition& definition);

struct InputGroup {
  std::string connector;            // "": lake tables, all in one group.
  std::vector<SourceTable> tables;  // Each with the columns that anybody wants.
};

/// Where an input of a pipeline is read; `shared`: from another pipeline, by no source.
struct InputPlace {
  idx_t group = 0, table = 0;
  bool shared = false;
};

struct GroupedInputs {
  std::vector<InputGroup> groups;
  std::vector<std::vector<InputPlace>> places;  // Per pipeline, per input.
};

/// `inputs`: of each pipeline, in their order; the answer follows from it alone.
GroupedInputs GroupInputs(const ConnectorRegistry& connectors,
                          const std::vector<const std::vector<SourceTable>*>& inputs);

}  // namespace millrace
