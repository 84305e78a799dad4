// <tm-chart options="…">: draws an ECharts option object. Bundled by scripts/build/build.mjs with the parts
// of ECharts that are used, and loaded by the first page that draws (src/components/chart.rs).
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import { connect, init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

use([BarChart, LineChart, GridComponent, LegendComponent, TooltipComponent, SVGRenderer]);

/** Colours of things without a meaning, which red-green blind people can tell apart; 3:1 against both themes. */
const palette = ["#2b7fd4", "#c9550a", "#1f8a94", "#a05fc4", "#8a7a16", "#c43d6b"];

/** Numbers of a unit as the page's language writes them. */
const UNITS = {
  ms: (value) => `${value.toLocaleString(document.documentElement.lang)} ms`,
  $: (value) =>
    value.toLocaleString(document.documentElement.lang, {
      style: "currency",
      currency: "USD",
      maximumSignificantDigits: 4,
    }),
  "": (value) => value.toLocaleString(document.documentElement.lang),
};

const token = (style, name) => style.getPropertyValue(`--pf-t--global--${name}`).trim();

/** Replaces `var(--name)` by the theme's colour: a library that mixes colours has to know them. */
const coloured = (text, style) =>
  text.replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());

/** Returns the theme's colours of words, lines and backgrounds as chart options. */
function themed(text) {
  const style = getComputedStyle(document.documentElement);
  const { unit = "", ...options } = JSON.parse(coloured(text, style));
  const [words, subtle, line] = [
    token(style, "text--color--regular"),
    token(style, "text--color--subtle"),
    token(style, "border--color--default"),
  ];
  const format = (value) => (typeof value === "number" ? UNITS[unit](value) : "–");
  const axis = (axis) => ({
    ...axis,
    axisLabel: {
      color: subtle,
      fontSize: 11,
      hideOverlap: true,
      ...(axis.type === "value" && { formatter: format }),
      ...axis.axisLabel,
    },
    axisLine: { lineStyle: { color: line } },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: line, opacity: 0.6 }, ...axis.splitLine },
  });
  const axes = (value) => value && (Array.isArray(value) ? value.map(axis) : axis(value));
  return {
    animation: false,
    color: palette,
    textStyle: { color: words, fontFamily: getComputedStyle(document.body).fontFamily },
    ...options,
    xAxis: axes(options.xAxis),
    yAxis: axes(options.yAxis),
    legend: options.legend && {
      textStyle: { color: words, fontSize: 12 },
      pageTextStyle: { color: subtle },
      pageIconColor: words,
      pageIconInactiveColor: line,
      ...options.legend,
    },
    tooltip: options.tooltip && {
      confine: true,
      backgroundColor: token(style, "background--color--floating--default"),
      borderColor: line,
      textStyle: { color: words, fontSize: 12 },
      valueFormatter: format,
      ...options.tooltip,
    },
  };
}

class Chart extends HTMLElement {
  static observedAttributes = ["options"];

  connectedCallback() {
    this.chart = init(this, null, { renderer: "svg" });
    const group = this.getAttribute("group");
    if (group) {
      this.chart.group = group;
      connect(group);
    }
    if (this.hasAttribute("selectable")) this.select();
    this.sizes = new ResizeObserver(() => this.chart.resize());
    this.sizes.observe(this);
    this.themes = new MutationObserver(() => this.draw());
    this.themes.observe(document.documentElement, { attributeFilter: ["class"] });
    this.draw();
  }

  /** Lets people drag from one interval to another: `data-range` then has the numbers of both, and "range" is fired. */
  select() {
    const mark = document.createElement("div");
    mark.className = "tm-chart__mark";
    const interval = (x) => {
      const last = this.chart.getOption().xAxis[0].data.length - 1;
      return Math.min(Math.max(this.chart.convertFromPixel({ xAxisIndex: 0 }, x), 0), last);
    };
    let from;
    const position = (event) => event.clientX - this.getBoundingClientRect().left;
    const end = () => {
      mark.remove();
      from = undefined;
    };
    this.addEventListener("pointerdown", (event) => {
      const x = position(event);
      const y = event.clientY - this.getBoundingClientRect().top;
      // A finger scrolls the page.
      if (event.button !== 0 || event.pointerType === "touch" || !this.chart.containPixel("grid", [x, y]))
        return;
      from = x;
      this.setPointerCapture(event.pointerId);
    });
    this.addEventListener("pointermove", (event) => {
      if (from === undefined) return;
      const x = position(event);
      this.append(mark);
      mark.style.left = `${Math.min(from, x)}px`;
      mark.style.width = `${Math.abs(x - from)}px`;
    });
    this.addEventListener("pointerup", (event) => {
      if (from === undefined) return;
      const [first, last] = [from, position(event)].sort((a, b) => a - b);
      end();
      if (last - first < 8) return;
      this.dataset.range = `${interval(first)}-${interval(last)}`;
      this.dispatchEvent(new Event("range"));
    });
    this.addEventListener("pointercancel", end);
  }

  disconnectedCallback() {
    this.sizes.disconnect();
    this.themes.disconnect();
    this.chart.dispose();
    this.chart = undefined;
  }

  attributeChangedCallback() {
    this.draw();
  }

  draw() {
    const options = this.getAttribute("options");
    if (this.chart && options) this.chart.setOption(themed(options), true);
  }
}

customElements.define("tm-chart", Chart);
