// Debian's Firefox ESR by WebDriver BiDi, behind as much of the other driver's manner as
// the harness uses, so that the same helpers serve both browsers.
import { existsSync } from 'node:fs';
import puppeteer from 'puppeteer-core';
import { atTheEnd, until } from './harness.mjs';

const BINARY = process.env.FIREFOX ?? '/usr/bin/firefox-esr';

/** Why there is no Firefox here, or false. Where CI=true it has to be there. */
export const missing = !existsSync(BINARY) && process.env.CI !== 'true' && `there is no ${BINARY}`;

/** A browser process of its own. */
export async function firefox() {
  const browser = await puppeteer.launch({ browser: 'firefox', executablePath: BINARY, headless: true });
  atTheEnd(() => browser.close());
  return {
    version: () => browser.version(),
    newContext: async () => new Context(await browser.createBrowserContext()),
  };
}

class Context {
  #context;

  constructor(context) {
    this.#context = context;
  }

  async newPage() {
    return new Tab(await this.#context.newPage());
  }

  close() {
    return this.#context.close();
  }
}

class Tab {
  #page;

  constructor(page) {
    this.#page = page;
  }

  setDefaultTimeout(ms) {
    this.#page.setDefaultTimeout(ms);
  }

  addInitScript(script) {
    return this.#page.evaluateOnNewDocument(script);
  }

  goto(url) {
    return this.#page.goto(url);
  }

  url() {
    return this.#page.url();
  }

  evaluate(work, ...args) {
    return this.#page.evaluate(work, ...args);
  }

  /** Asks by a timer: a tab in the background draws no frames. */
  waitForFunction(work, ...args) {
    return this.#page.waitForFunction(work, { polling: 50 }, ...args);
  }

  waitForURL(url) {
    return until(() => this.url() === url, () => `the tab is still at ${this.url()}`);
  }

  textContent(selector) {
    return this.#page.$eval(selector, (element) => element.textContent);
  }

  async fill(selector, text) {
    await this.#page.locator(selector).fill(text);
  }

  async click(selector) {
    await this.#page.bringToFront();
    await this.#page.locator(selector).click();
  }

  close() {
    return this.#page.close();
  }
}
