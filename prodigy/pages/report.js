for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => head.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.cells[column].dataset.order ?? row.cells[column].textContent;
    const compare = (one, two) => {
      const [left, right] = [value(one), value(two)];
      const numbers = left !== "" && right !== "" && !isNaN(left) && !isNaN(right);
      return numbers ? left - right : String(left).localeCompare(String(right));
    };
    const rows = [...body.rows].sort(compare);
    body.append(...(down ? rows.reverse() : rows));
  }));
}
