// nested_merger.cc - collect, merge_map and nested_update: functions whose result is a list of
// elements of the rows' lists (a MAP is a list of pairs).
//
// Values are never unpacked: an element is its place in the list vector's child, two elements are
// compared by their normalised bytes, and the results' elements are copied at once.
#include <unordered_map>

#include "base/error.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "lsm/column_merger.h"
#include "lsm/scatter.h"
#include "lsm/sort_key.h"

namespace millrace {

namespace {

using duckdb::list_entry_t;
using duckdb::ListVector;

/// Elements of a key's result so far, as places in the batch's child vector.
struct Elements {
  std::vector<uint32_t> places;
  bool valid = false;
};

/// The bytes by which elements are compared, for all elements of one batch.
class ElementKeys {
 public:
  /// `parts`: columns that together are the key of an element.
  ElementKeys(std::vector<Vector*> parts, idx_t count)
      : blobs_(LogicalTypeId::BLOB, Capacity(count)) {
    if (count == 0) return;
    duckdb::vector<LogicalType> types;
    for (Vector* part : parts) types.push_back(part->GetType());
    DataChunk chunk;
    chunk.InitializeEmpty(types);
    for (idx_t i = 0; i < parts.size(); i++) chunk.data[i].Reference(*parts[i]);
    chunk.SetCapacity(Capacity(count));
    chunk.SetCardinality(count);
    NormaliseToBlobs(chunk, blobs_);
    keys_ = duckdb::FlatVector::GetData<string_t>(blobs_);
  }
  std::string_view operator[](uint32_t place) const {
    return {keys_[place].GetData(), keys_[place].GetSize()};
  }

 private:
  static idx_t Capacity(idx_t count) { return std::max<idx_t>(count, STANDARD_VECTOR_SIZE); }
  Vector blobs_;
  const string_t* keys_ = nullptr;
};

class NestedMerger : public ColumnMerger {
 public:
  NestedMerger(const DataField& field, const ColumnMerge& merge) : field_(field), merge_(merge) {}

  void Merge(Vector& source, const MergeRows& rows, const RowEffect* effects,
             Vector& target) override {
    idx_t count = rows.groups.RowCount();
    Vector lists(source.GetType(), std::max<idx_t>(count, 1));  // By row of the batch.
    Gather(source, rows.positions, count, lists);
    Vector& child = ListVector::GetEntry(lists);
    idx_t child_count = ListVector::GetListSize(lists);
    child.Flatten(child_count);
    ElementKeys keys(KeyParts(child), child_count);
    keys_ = &keys;
    child_validity_ = &duckdb::FlatVector::Validity(child);
    auto* entries = duckdb::FlatVector::GetData<list_entry_t>(lists);
    auto& validity = duckdb::FlatVector::Validity(lists);
    std::vector<uint32_t> places;  // Of all results, one after the other.
    auto* out = duckdb::FlatVector::GetData<list_entry_t>(target);
    WalkGroups(
        rows, effects, [] { return Elements(); },
        [&](Elements& elements, uint32_t row, RowEffect effect) {
          Elements input;
          if (validity.RowIsValid(row)) {
            input.valid = true;
            for (idx_t i = 0; i < entries[row].length; i++) {
              input.places.push_back(static_cast<uint32_t>(entries[row].offset + i));
            }
          }
          Step(elements, std::move(input), effect);
        },
        [&](idx_t group, const Elements& elements) {
          out[group] = {places.size(), elements.places.size()};
          if (!elements.valid) duckdb::FlatVector::SetNull(target, group, true);
          places.insert(places.end(), elements.places.begin(), elements.places.end());
        });
    Send(child, places, target);
  }

 private:
  /// What two elements are compared by: the map's key, the nested key, or all of it.
  std::vector<Vector*> KeyParts(Vector& child) const {
    bool is_map = merge_.aggregate == Aggregate::kMergeMap;
    if (!is_map && merge_.nested_key.empty()) return {&child};
    auto& members = duckdb::StructVector::GetEntries(child);
    std::vector<Vector*> parts;
    if (is_map) {
      parts.push_back(&*members[0]);
    } else {
      for (idx_t member : merge_.nested_key) parts.push_back(&*members[member]);
    }
    return parts;
  }

  static void Send(Vector& child, const std::vector<uint32_t>& places, Vector& target) {
    SelectionVector chosen(std::max<idx_t>(places.size(), 1));
    for (idx_t i = 0; i < places.size(); i++) chosen.set_index(i, places[i]);
    ListVector::Reserve(target, places.size());
    duckdb::VectorOperations::Copy(child, ListVector::GetEntry(target), chosen, places.size(), 0,
                                   0);
    ListVector::SetListSize(target, places.size());
  }

  void Step(Elements& there, Elements input, RowEffect effect) const {
    switch (effect) {
      case RowEffect::kClear:
        there = {};
        return;
      case RowEffect::kAssign:
        there = std::move(input);
        return;
      case RowEffect::kAssignRetract:
        there = input;
        [[fallthrough]];
      case RowEffect::kRetract:
        if (!merge_.ignore_retract) Retract(there, input);
        return;
      case RowEffect::kAddOlder:
        // A list of distinct elements takes older ones up as it takes newer ones.
        if (merge_.aggregate != Aggregate::kCollect) std::swap(there, input);
        [[fallthrough]];
      default:
        Add(there, std::move(input));
    }
  }

  void Add(Elements& there, Elements input) const {
    bool distinct = merge_.aggregate == Aggregate::kCollect && merge_.distinct;
    if (!there.valid && !(distinct && input.valid)) {
      there = std::move(input);
      return;
    }
    if (!input.valid) return;
    there.valid = true;
    switch (merge_.aggregate) {
      case Aggregate::kCollect:
        return Collect(there, input);
      case Aggregate::kMergeMap:
        return Put(there, input.places);
      default:
        return Nest(there, std::move(input));
    }
  }

  void Collect(Elements& there, const Elements& input) const {
    if (!merge_.distinct) {
      there.places.insert(there.places.end(), input.places.begin(), input.places.end());
      return;
    }
    std::unordered_map<std::string_view, size_t> known;
    for (uint32_t place : there.places) known.emplace((*keys_)[place], 0);
    for (uint32_t place : input.places) {
      if (known.emplace((*keys_)[place], 0).second) there.places.push_back(place);
    }
  }

  /// Elements of one key: the last stands where the first stood.
  void Put(Elements& there, const std::vector<uint32_t>& more) const {
    std::vector<uint32_t> all = std::move(there.places);
    all.insert(all.end(), more.begin(), more.end());
    there.places.clear();
    std::unordered_map<std::string_view, size_t> known;
    for (uint32_t place : all) {
      auto [found, is_new] = known.emplace((*keys_)[place], there.places.size());
      if (is_new) {
        there.places.push_back(place);
      } else {
        there.places[found->second] = place;
      }
    }
  }

  void Nest(Elements& there, Elements input) const {
    auto limit = static_cast<size_t>(merge_.count_limit);
    if (there.places.size() >= limit) return;
    size_t room = limit - there.places.size();
    DropNulls(there);
    DropNulls(input);
    if (input.places.size() > room) input.places.resize(room);
    if (merge_.nested_key.empty()) {
      there.places.insert(there.places.end(), input.places.begin(), input.places.end());
    } else {
      Put(there, input.places);
    }
  }

  void DropNulls(Elements& elements) const {
    std::erase_if(elements.places,
                  [&](uint32_t place) { return !child_validity_->RowIsValid(place); });
  }

  void Retract(Elements& there, Elements input) const {
    if (!there.valid || !input.valid) return;
    bool nested = merge_.aggregate == Aggregate::kNestedUpdate;
    if (input.places.empty() && !nested) return;
    if (nested) {
      DropNulls(there);
      DropNulls(input);
      if (!merge_.nested_key.empty()) Put(there, {});
    }
    // collect takes back one element for each; the others all that are equal.
    bool once = merge_.aggregate == Aggregate::kCollect;
    std::unordered_map<std::string_view, size_t> gone;
    for (uint32_t place : input.places) gone[(*keys_)[place]]++;
    std::erase_if(there.places, [&](uint32_t place) {
      auto found = gone.find((*keys_)[place]);
      if (found == gone.end() || found->second == 0) return false;
      if (once) found->second--;
      return true;
    });
  }

  const DataField field_;
  const ColumnMerge merge_;
  const ElementKeys* keys_ = nullptr;                     // Of the batch at hand,
  const duckdb::ValidityMask* child_validity_ = nullptr;  // as is this.
};

bool IsRowArray(const DataType& type) {
  return type.root == TypeRoot::kArray && type.children[0].root == TypeRoot::kRow;
}

}  // namespace

std::unique_ptr<ColumnMerger> MakeNestedMerger(const DataField& field, const ColumnMerge& merge) {
  bool fits = merge.aggregate == Aggregate::kCollect    ? field.type.root == TypeRoot::kArray
              : merge.aggregate == Aggregate::kMergeMap ? field.type.root == TypeRoot::kMap
                                                        : IsRowArray(field.type);
  if (!fits) return nullptr;
  return std::make_unique<NestedMerger>(field, merge);
}

}  // namespace millrace
