// listagg_merger.cc - listagg: the texts of a key's rows, one after the other, with delimiters.
#include <unordered_set>

#include "base/error.h"
#include "lsm/column_merger.h"

namespace millrace {

namespace {

struct Joined {
  std::string text;
  bool valid = false;
};

class ListaggMerger : public ColumnMerger {
 public:
  ListaggMerger(const DataField& field, const ColumnMerge& merge) : field_(field), merge_(merge) {}

  void Merge(Vector& source, const MergeRows& rows, const RowEffect* effects,
             Vector& target) override {
    auto* data = duckdb::FlatVector::GetData<string_t>(source);
    auto* out = duckdb::FlatVector::GetData<string_t>(target);
    auto& validity = duckdb::FlatVector::Validity(source);
    WalkGroups(
        rows, effects, [] { return Joined(); },
        [&](Joined& joined, uint32_t row, RowEffect effect) {
          uint32_t at = rows.positions[row];
          bool valid = validity.RowIsValid(at);
          std::string_view text;
          if (valid) text = {data[at].GetData(), data[at].GetSize()};
          Step(joined, text, valid, effect);
        },
        [&](idx_t group, const Joined& joined) {
          if (joined.valid) {
            out[group] = duckdb::StringVector::AddStringOrBlob(
                target, string_t(joined.text.data(), static_cast<uint32_t>(joined.text.size())));
          } else {
            duckdb::FlatVector::SetNull(target, group, true);
          }
        });
  }

 private:
  void Step(Joined& joined, std::string_view text, bool valid, RowEffect effect) const {
    switch (effect) {
      case RowEffect::kClear:
        joined.valid = false;
        return;
      case RowEffect::kAssign:
      case RowEffect::kAssignRetract:
        joined = {std::string(text), valid};
        if (effect == RowEffect::kAssign) return;
        [[fallthrough]];
      case RowEffect::kRetract:
        if (!merge_.ignore_retract) RefuseRetraction(field_, merge_.aggregate);
        return;
      default:
        break;
    }
    if (!valid) return;
    if (!joined.valid) {
      joined = {std::string(text), true};
    } else if (effect == RowEffect::kAddOlder) {
      std::string newer = std::move(joined.text);
      joined.text = text;
      Append(joined.text, newer);
    } else {
      Append(joined.text, text);
    }
  }

  void Append(std::string& text, std::string_view more) const {
    if (more.empty()) return;
    if (text.empty()) {
      text = more;
    } else if (merge_.distinct) {
      AppendDistinct(text, more);
    } else {
      text.append(merge_.delimiter).append(more);
    }
  }

  void AppendDistinct(std::string& text, std::string_view more) const {
    std::unordered_set<std::string> there;
    ForEachToken(text, [&](std::string_view token) { there.emplace(token); });
    ForEachToken(more, [&](std::string_view token) {
      if (!token.empty() && there.emplace(token).second) {
        text.append(merge_.delimiter).append(token);
      }
    });
  }

  template <typename Receive>
  void ForEachToken(std::string_view text, Receive receive) const {
    if (merge_.delimiter.empty()) return receive(text);
    for (;;) {
      size_t end = text.find(merge_.delimiter);
      receive(text.substr(0, end));
      if (end == std::string_view::npos) return;
      text.remove_prefix(end + merge_.delimiter.size());
    }
  }

  const DataField field_;
  const ColumnMerge merge_;
};

}  // namespace

std::unique_ptr<ColumnMerger> MakeListaggMerger(const DataField& field, const ColumnMerge& merge) {
  if (field.type.root != TypeRoot::kVarChar || field.type.length != kMaxLength) return nullptr;
  return std::make_unique<ListaggMerger>(field, merge);
}

}  // namespace millrace
