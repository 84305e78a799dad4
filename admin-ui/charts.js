// <tm-chart options="…">: draws an ECharts option object. Bundled by scripts/build/build.mjs with the parts
// of ECharts that are used, and loaded by the first page that draws (src/components/chart.rs).
import { BarChart, LineChart, PieChart } from "echarts/charts";
import { GridComponent, LegendComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

use([BarChart, LineChart, PieChart, GridComponent, LegendComponent, TooltipComponent, SVGRenderer]);

/** Colours that red-green blind people can tell apart; 3:1 against the background of both themes. */
const palette = ["#2b7fd4", "#c9550a", "#3f8f3f", "#a05fc4", "#8a7a16", "#c43d6b", "#1f8a94", "#7d6a5c"];

const token = (style, name) => style.getPropertyValue(`--pf-t--global--${name}`).trim();

/** Returns the theme's colours of words, lines and backgrounds as chart options. */
function themed(options) {
  const style = getComputedStyle(document.documentElement);
  const text = token(style, "text--color--regular");
  const subtle = token(style, "text--color--subtle");
  const line = token(style, "border--color--default");
  const axis = (axis) => ({
    ...axis,
    axisLabel: { color: subtle, hideOverlap: true, ...axis.axisLabel },
    axisLine: { lineStyle: { color: line } },
    splitLine: { lineStyle: { color: line }, ...axis.splitLine },
    nameTextStyle: { color: subtle, ...axis.nameTextStyle },
  });
  const axes = (value) => value && (Array.isArray(value) ? value.map(axis) : axis(value));
  return {
    animation: false,
    color: palette,
    textStyle: { color: text, fontFamily: getComputedStyle(document.body).fontFamily },
    ...options,
    xAxis: axes(options.xAxis),
    yAxis: axes(options.yAxis),
    legend: options.legend && { textStyle: { color: text }, ...options.legend },
    tooltip: options.tooltip && {
      confine: true,
      backgroundColor: token(style, "background--color--floating--default"),
      borderColor: line,
      textStyle: { color: text },
      ...options.tooltip,
    },
  };
}

class Chart extends HTMLElement {
  static observedAttributes = ["options"];

  connectedCallback() {
    this.chart = init(this, null, { renderer: "svg" });
    this.sizes = new ResizeObserver(() => this.chart.resize());
    this.sizes.observe(this);
    this.themes = new MutationObserver(() => this.draw());
    this.themes.observe(document.documentElement, { attributeFilter: ["class"] });
    this.draw();
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
    if (this.chart && options) this.chart.setOption(themed(JSON.parse(options)), true);
  }
}

customElements.define("tm-chart", Chart);
