#include "table/row_kinds.h"

#include "base/error.h"
#include "table/merge_options.h"

namespace millrace {

namespace {

std::optional<RowKind> ParseKind(const string_t& text) {
  if (text.GetSize() != 2) return std::nullopt;
  const char* data = text.GetData();
  if (data[0] == '+') {
    if (data[1] == 'I') return RowKind::kInsert;
    if (data[1] == 'U') return RowKind::kUpdateAfter;
  } else if (data[0] == '-') {
    if (data[1] == 'U') return RowKind::kUpdateBefore;
    if (data[1] == 'D') return RowKind::kDelete;
  }
  return std::nullopt;
}

}  // namespace

RowKinds::RowKinds(const TableSchema& schema, const TableOptions& options, std::string table)
    : schema_(schema),
      options_(options),
      table_(std::move(table)),
      no_update_before_(WhyNoRetraction(options.merge, schema, /*is_delete=*/false)),
      no_delete_(WhyNoRetraction(options.merge, schema, /*is_delete=*/true)),
      pairs_are_redundant_(options.merge.engine == MergeEngine::kDeduplicate &&
                           options.sequence_fields.empty() &&
                           options.changelog_producer != ChangelogProducer::kInput) {
  if (options.ignore_update_before) no_update_before_.reset();  // They are left out.
}

void RowKinds::Read(ChangeChunk& chunk) {
  if (!options_.rowkind_field) return;
  UnifiedVectorFormat format;
  chunk.rows.data[*options_.rowkind_field].ToUnifiedFormat(chunk.size(), format);
  auto* texts = UnifiedVectorFormat::GetData<string_t>(format);
  chunk.kinds.resize(chunk.size());
  for (idx_t row = 0; row < chunk.size(); row++) {
    idx_t at = format.sel->get_index(row);
    bool valid = format.validity.RowIsValid(at);
    std::optional<RowKind> kind = valid ? ParseKind(texts[at]) : std::nullopt;
    if (!kind) {
      Throw(ErrorCode::kData,
            "Cannot write to table {}: column '{}' is its 'rowkind.field', but a row has {} there "
            "instead of '+I', '-U', '+U' or '-D'.",
            table_, schema_.fields[*options_.rowkind_field].name,
            valid ? "'" + texts[at].GetString() + "'" : "NULL");
    }
    chunk.kinds[row] = *kind;
  }
}

void RowKinds::Check(const ChangeChunk& chunk) const {
  if (!no_update_before_ && !no_delete_) return;
  for (RowKind kind : chunk.kinds) {
    if (IsAdd(kind)) continue;
    const auto& why = kind == RowKind::kDelete ? no_delete_ : no_update_before_;
    if (!why) continue;
    Throw(ErrorCode::kData, "Cannot write a row of kind {} to table {}: {}.", RowKindName(kind),
          table_, *why);
  }
}

void RowKinds::LeaveOutPairs(ChangeChunk& chunk, const std::vector<idx_t>& key,
                             RoutedRows& routed) const {
  if (!pairs_are_redundant_ || chunk.kinds.empty()) return;
  SelectionVector before(routed.count), after(routed.count);
  std::vector<idx_t> positions;
  for (idx_t i = 0; i + 1 < routed.count; i++) {
    idx_t row = routed.rows.get_index(i), next = routed.rows.get_index(i + 1);
    if (chunk.kinds[row] != RowKind::kUpdateBefore || chunk.kinds[next] != RowKind::kUpdateAfter) {
      continue;
    }
    before.set_index(positions.size(), row);
    after.set_index(positions.size(), next);
    positions.push_back(i);
  }
  if (positions.empty()) return;
  SelectionVector same(positions.size()), different(positions.size());
  idx_t matched =
      SelectEqualRows(chunk.rows, key, before, after, positions.size(), same, different);
  std::vector<bool> drop(routed.count);
  for (idx_t i = 0; i < matched; i++) drop[positions[same.get_index(i)]] = true;
  idx_t kept = 0;
  for (idx_t i = 0; i < routed.count; i++) {
    if (!drop[i]) routed.rows.set_index(kept++, routed.rows.get_index(i));
  }
  routed.count = kept;
}

}  // namespace millrace
