"use strict";
// Tables sort by a click or by Enter and Space on a heading; what has no number stays at the end.
(function () {
  function key(row, column) {
    var cell = row.cells[column];
    return cell.hasAttribute("data-sort") ? cell.getAttribute("data-sort") : null;
  }
  function compare(numeric, ascending) {
    return function (one, other) {
      if (one.key === null || other.key === null) {
        return one.key === other.key ? one.place - other.place : one.key === null ? 1 : -1;
      }
      var order = numeric ? Number(one.key) - Number(other.key) : one.key.localeCompare(other.key, "en");
      return (ascending ? order : -order) || one.place - other.place;
    };
  }
  function sort(heading) {
    var table = heading.closest("table");
    var body = table.tBodies[0];
    var column = heading.cellIndex;
    var numeric = heading.hasAttribute("data-numeric");
    var now = heading.getAttribute("aria-sort");
    var ascending = now === "none" ? !numeric : now === "descending";
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (other) {
      other.setAttribute("aria-sort", "none");
    });
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    Array.prototype.map
      .call(body.rows, function (row) {
        return { row: row, key: key(row, column), place: Number(row.getAttribute("data-place")) };
      })
      .sort(compare(numeric, ascending))
      .forEach(function (entry) {
        body.appendChild(entry.row);
      });
  }
  document.addEventListener("click", function (event) {
    var button = event.target.closest("th button");
    if (button) {
      sort(button.parentElement);
    }
  });
})();
