//! Tables on the library's style sheet. The library's component sorts only the rows that it holds, while these
//! sort on the server, and it shows no column names on a narrow screen.

use crate::format;
use crate::i18n::use_i18n;
use contract::DEFAULT_LIMIT;
use web_sys::Element;
use yew::prelude::*;

/// A column. With `sort`, its head is a button that shows the order and changes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub label: AttrValue,
    pub sort: Option<Sort>,
    pub is_number: bool,
    /// Whether a narrow screen leaves it out.
    pub is_minor: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sort {
    pub is_ascending: Option<bool>,
    pub on_sort: Callback<()>,
}

impl Column {
    pub fn new(label: AttrValue) -> Self {
        Self { label, sort: None, is_number: false, is_minor: false }
    }

    pub fn number(label: AttrValue) -> Self {
        Self { is_number: true, ..Self::new(label) }
    }

    /// Leaves the column out on a narrow screen.
    pub fn minor(self) -> Self {
        Self { is_minor: true, ..self }
    }

    pub fn sorted(mut self, is_ascending: Option<bool>, on_sort: Callback<()>) -> Self {
        self.sort = Some(Sort { is_ascending, on_sort });
        self
    }
}

/// A row: its key, with a cell for each column.
pub type Row = (String, Vec<Html>);

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct DataTableProps {
    /// Names the table to screen readers.
    pub label: AttrValue,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    #[prop_or_default]
    pub is_busy: bool,
    /// Emits the key of a row that is clicked, for the mouse alone: a cell must hold a button that does the same.
    #[prop_or_default]
    pub on_row: Option<Callback<String>>,
    /// The key of the row that is open.
    #[prop_or_default]
    pub current: Option<AttrValue>,
}

#[component]
pub fn DataTable(props: &DataTableProps) -> Html {
    let rows = props.rows.iter().map(|(key, cells)| {
        let cells = props.columns.iter().zip(cells).map(|(column, cell)| {
            let class = classes!(
                "pf-v6-c-table__td",
                column.is_number.then_some("tm-number"),
                column.is_minor.then_some("tm-minor")
            );
            html! { <td {class} role="cell" data-label={&column.label}>{ cell.clone() }</td> }
        });
        let is_current = props.current.as_deref() == Some(key.as_str());
        let onclick = props.on_row.as_ref().map(|on_row| {
            let key = key.clone();
            on_row.reform(move |_: MouseEvent| key.clone())
        });
        let class = classes!(
            "pf-v6-c-table__tr",
            onclick.is_some().then_some("pf-m-clickable"),
            is_current.then_some("pf-m-selected")
        );
        html! { <tr key={key.clone()} {class} role="row" {onclick}>{ for cells }</tr> }
    });
    html! {
        <div class="tm-table-wrap">
            <table
                class="pf-v6-c-table pf-m-compact tm-table"
                role="table"
                aria-label={&props.label}
                aria-busy={props.is_busy.to_string()}
            >
                <thead class="pf-v6-c-table__thead" role="rowgroup">
                    <tr class="pf-v6-c-table__tr" role="row">
                        { for props.columns.iter().map(head) }
                    </tr>
                </thead>
                <tbody class="pf-v6-c-table__tbody" role="rowgroup">{ for rows }</tbody>
            </table>
        </div>
    }
}

fn head(column: &Column) -> Html {
    let number = column.is_number.then_some("tm-number");
    let Some(sort) = &column.sort else {
        let class = classes!("pf-v6-c-table__th", number);
        return html! { <th {class} role="columnheader" scope="col">{ &column.label }</th> };
    };
    let (order, icon) = match sort.is_ascending {
        Some(true) => ("ascending", "fas fa-long-arrow-alt-up"),
        Some(false) => ("descending", "fas fa-long-arrow-alt-down"),
        None => ("none", "fas fa-arrows-alt-v"),
    };
    let selected = sort.is_ascending.map(|_| "pf-m-selected");
    html! {
        <th
            class={classes!("pf-v6-c-table__th", "pf-v6-c-table__sort", selected, number)}
            role="columnheader"
            scope="col"
            aria-sort={order}
        >
            <button type="button" class="pf-v6-c-table__button" onclick={sort.on_sort.reform(|_| ())}>
                <span class="pf-v6-c-table__button-content">
                    <span class="pf-v6-c-table__text">{ &column.label }</span>
                    <span class="pf-v6-c-table__sort-indicator"><i class={icon} aria-hidden="true" /></span>
                </span>
            </button>
        </th>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct PagerProps {
    pub number: usize,
    /// Items of this page, and of a full page.
    #[prop_or_default]
    pub items: usize,
    /// Items of all pages, if they are counted.
    #[prop_or_default]
    pub total: Option<u64>,
    #[prop_or(DEFAULT_LIMIT)]
    pub limit: u32,
    #[prop_or_default]
    pub on_previous: Option<Callback<()>>,
    #[prop_or_default]
    pub on_next: Option<Callback<()>>,
}

/// The items shown, and buttons to the page before and after. Pages are found by cursors, so the number of all items is
/// known on the last page only, unless the list is counted.
#[component]
pub fn Pager(props: &PagerProps) -> Html {
    let i18n = use_i18n();
    let node = use_node_ref();
    {
        let node = node.clone();
        let is_first = use_mut_ref(|| true);
        // The next page is read from its beginning.
        use_effect_with(props.number, move |_| {
            if !is_first.replace(false) {
                let list = node.cast::<Element>().and_then(|node| node.parent_element());
                list.inspect(Element::scroll_into_view);
            }
        });
    }
    if props.on_previous.is_none() && props.on_next.is_none() && (props.total.is_none() || props.items == 0) {
        return html! {};
    }
    let button = |go: &Option<Callback<()>>, label: AttrValue, icon: &'static str| {
        // Not disabled at the end: a disabled button loses the focus.
        let (onclick, is_end) = (go.clone().unwrap_or_default().reform(|_: MouseEvent| ()), go.is_none());
        html! {
            <button
                type="button"
                class={classes!("pf-v6-c-button", "pf-m-secondary", "pf-m-small", is_end.then_some("pf-m-aria-disabled"))}
                aria-disabled={is_end.then_some("true")}
                {onclick}
            >
                <span class="pf-v6-c-button__icon pf-m-start"><i class={icon} aria-hidden="true" /></span>
                <span class="pf-v6-c-button__text">{ label }</span>
            </button>
        }
    };
    let before = (props.number - 1) * usize::try_from(props.limit).unwrap_or_default();
    let [first, last] = [before + 1, before + props.items].map(|n| n.to_string());
    let total = props.total.map(|total| format::number(&i18n, total));
    let shown = if props.items == 0 {
        i18n.fill("table.page", &[("number", &props.number.to_string())])
    } else if let Some(all) = total.or_else(|| props.on_next.is_none().then(|| last.clone())) {
        i18n.fill("table.range-of", &[("first", &first), ("last", &last), ("all", &all)])
    } else {
        i18n.fill("table.range", &[("first", &first), ("last", &last)])
    };
    if props.on_previous.is_none() && props.on_next.is_none() {
        return html! { <p class="tm-pager">{ shown }</p> };
    }
    html! {
        <nav class="tm-pager" aria-label={i18n.t("table.pages")} ref={node}>
            { button(&props.on_previous, i18n.t("table.previous"), "fas fa-angle-left") }
            <span aria-live="polite">{ shown }</span>
            { button(&props.on_next, i18n.t("table.next"), "fas fa-angle-right") }
        </nav>
    }
}
