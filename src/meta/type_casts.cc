#include "meta/type_casts.h"

namespace millrace {

namespace {

using enum TypeRoot;

bool IsInteger(TypeRoot root) {
  return root == kTinyInt || root == kSmallInt || root == kInt || root == kBigInt;
}
bool IsApproximate(TypeRoot root) {
  return root == kFloat || root == kDouble;
}
bool IsNumeric(TypeRoot root) {
  return IsInteger(root) || IsApproximate(root) || root == kDecimal;
}
bool IsText(TypeRoot root) {
  return root == kChar || root == kVarChar;
}
bool IsBytes(TypeRoot root) {
  return root == kBinary || root == kVarBinary;
}
bool IsTimestamp(TypeRoot root) {
  return root == kTimestamp || root == kTimestampLtz;
}
bool IsTemporal(TypeRoot root) {
  return IsTimestamp(root) || root == kDate || root == kTime;
}

/// Casts that lose nothing, or that SQL makes by itself.
bool IsImplicit(TypeRoot from, TypeRoot to) {
  if (from == to) return true;
  if (IsNumeric(from) && (to == kDecimal || to == kDouble)) return true;
  if (to == kFloat) return IsInteger(from) || from == kDecimal;
  if (IsInteger(from) && IsInteger(to)) return from < to;
  if (to == kVarChar) return IsText(from);
  if (to == kVarBinary) return IsBytes(from);
  if (IsTimestamp(from)) return IsTimestamp(to) || (from == kTimestamp && IsTemporal(to));
  return false;
}

bool IsExplicit(const DataType& from_type, const DataType& to_type) {
  TypeRoot from = from_type.root, to = to_type.root;
  if (IsText(from)) return to < kArray;
  if (IsText(to)) {
    // Times have one text, of any length.
    if (IsTemporal(from)) return to == kVarChar && to_type.length == kMaxLength;
    return from < kArray;
  }
  if (IsNumeric(from) && IsNumeric(to)) return true;
  if (from == kBoolean) return IsNumeric(to);
  if (to == kBoolean) return IsInteger(from);
  if (IsTimestamp(from)) return IsTemporal(to) || to == kInt || to == kBigInt;
  if (IsTimestamp(to)) return IsTemporal(from) || from == kInt || from == kBigInt;
  return IsBytes(from) && IsBytes(to);
}

}  // namespace

bool SupportsCast(const DataType& from, const DataType& to, bool allow_explicit) {
  if (from.Nullable() == to.Nullable()) return true;
  if (from.root >= kArray || to.root >= kArray) return false;
  if (IsImplicit(from.root, to.root)) return true;
  return allow_explicit && IsExplicit(from, to);
}

bool KeepsOrder(const DataType& from, const DataType& to) {
  if (from.Nullable() == to.Nullable()) return true;
  if (from.root == to.root) {
    if (from.root == kDecimal)
      return to.scale >= from.scale && to.length - to.scale >= from.length - from.scale;
    bool has_length = from.root == kVarChar || from.root == kVarBinary || IsTimestamp(from.root);
    return has_length && to.length >= from.length;
  }
  if (IsInteger(from.root)) {
    if (IsInteger(to.root)) return from.root < to.root;
    if (to.root != kDecimal) return false;
    constexpr int kDigits[] = {3, 5, 10, 19};
    auto size = static_cast<int>(from.root) - static_cast<int>(kTinyInt);
    return to.length - to.scale >= kDigits[size];
  }
  return from.root == kFloat && to.root == kDouble;
}

}  // namespace millrace
