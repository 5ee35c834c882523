// The page: each picture is sent by itself, and its card shows what becomes of it. All text of files and of the server
// is set as text, never as markup.

const AT_ONCE = 2; // one uploads while another is scored
const SIGNS = { found: "●", nothing: "○", undecided: "◐", error: "✕" };

const $ = (selector, root = document) => root.querySelector(selector);
const waiting = [];
let busy = 0;
let limits = { max_bytes: Infinity };

// Announces to screen readers, and says it on the page.
function announce(words) {
  $("#news").textContent = words;
}

function bytes(count) {
  return count >= 1e6 ? `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} MB` : `${Math.max(1, Math.round(count / 1e3))} kB`;
}

function items(list, texts) {
  list.replaceChildren(...texts.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
}

class Card {
  constructor(file) {
    this.file = file;
    this.name = file.name || "pasted picture";
    this.node = $("#card").content.cloneNode(true).firstElementChild;
    this.urls = [];
    $(".name", this.node).textContent = this.name;
    $(".remove", this.node).setAttribute("aria-label", `Remove ${this.name}`);
    $(".remove", this.node).addEventListener("click", () => this.remove());
    $(".again", this.node).addEventListener("click", () => enqueue(this));
    $("#pictures").prepend(this.node);
  }

  // One line on what happens; `share` (0 to 100) where it is known, null where it is not, undefined where nothing goes on.
  state(words, share) {
    $(".words", this.node).textContent = words;
    const bar = $("progress", this.node);
    bar.hidden = share === undefined;
    bar.setAttribute("aria-label", `Progress of ${this.name}`);
    if (share == null) bar.removeAttribute("value");
    else bar.value = share;
  }

  // Sends the picture, and again where the line of the server is full, until there is an answer.
  async run() {
    $(".again", this.node).hidden = $(".verdict", this.node).hidden = true;
    if (!this.file.size) {
      this.failed("an empty file");
      return;
    }
    if (this.file.size > limits.max_bytes) {
      this.failed(`${bytes(this.file.size)}: this server takes at most ${bytes(limits.max_bytes)}`);
      return;
    }
    while (!this.removed) {
      const { status, answer, retry } = await this.send();
      if (status === 429) {
        for (let left = retry; left > 0 && !this.removed; left -= 1) {
          this.state(`The server is busy: again in ${left} s`, null);
          await new Promise((resolve) => setTimeout(resolve, 1000));
        }
        continue;
      }
      if (status === 200) this.show(answer);
      else if (!this.removed) this.failed(answer.detail, status === 0 || status === 504);
      return;
    }
  }

  send() {
    return new Promise((resolve) => {
      const request = (this.request = new XMLHttpRequest());
      const query = new URLSearchParams({ name: this.name.slice(-255), mode: $("#mode").value, html: true });
      request.open("POST", `v1/explain?${query}`);
      request.setRequestHeader("Accept", "application/x-ndjson");
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.upload.onprogress = (event) => this.state("Uploading", event.total ? (100 * event.loaded) / event.total : null);
      request.onprogress = () => request.status === 200 && this.progress(lines(request).at(-1));
      request.onload = () => {
        const answer = lines(request).at(-1) ?? { detail: "The answer of the server ended early" };
        const retry = Number(request.getResponseHeader("Retry-After")) || 1;
        resolve({ status: request.status === 200 ? answer.status ?? 0 : request.status, answer, retry });
      };
      request.onerror = request.onabort = () => resolve({ status: 0, answer: { detail: "The server does not answer" } });
      this.state("Uploading", 0);
      request.send(this.file);
    });
  }

  progress(line) {
    if (line?.state === "scoring") this.state("Scoring", null);
    else if (line?.state === "queued") this.state(line.ahead ? `Waiting: ${line.ahead} before this one` : "Waiting", null);
  }

  failed(reason, again = false) {
    this.verdict({ kind: "error", headline: "not scored", meaning: reason });
    $(".again", this.node).hidden = !again;
  }

  verdict({ kind, headline, meaning }) {
    this.state("");
    $(".verdict", this.node).dataset.kind = kind;
    $(".headline", this.node).textContent = `${SIGNS[kind] ?? ""} ${headline}`;
    $(".meaning", this.node).textContent = meaning;
    $(".verdict", this.node).hidden = false;
    announce(`${this.name}: ${headline}. ${meaning}`);
  }

  show({ result, maps, html, claims, run }) {
    const { answer } = result;
    this.verdict(answer);
    $(".result", this.node).hidden = false;
    $(".tried", this.node).textContent = answer.tried;
    items($(".limits", this.node), answer.limits.map((limit) => `Limit: ${limit}.`));
    this.showPicture(maps[0], answer.kind);
    this.showClaims(claims);
    this.showNumbers(result);
    this.offer(".json", JSON.stringify({ result, claims, run }, null, 2), "application/json", "json");
    if (html) this.offer(".html", html, "text/html", "html");
  }

  showPicture(map, kind) {
    const picture = $(".picture", this.node);
    picture.alt = `The picture ${this.name}`;
    picture.addEventListener("error", () => {
      $(".stage", this.node).hidden = $(".mapped", this.node).hidden = true;
      $(".unseen", this.node).hidden = false;
    });
    picture.src = this.url(this.file);
    if (!map) return;
    const image = $(".map", this.node);
    const slider = $(".slider input", this.node);
    const move = () => {
      image.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
    };
    slider.addEventListener("input", move);
    Object.assign(image, { src: map.image, alt: `Its evidence map: ${map.name}`, hidden: false });
    $(".to", this.node).textContent = `${map.scale} deviations and more`;
    $(".reading", this.node).textContent = `${map.name[0].toUpperCase()}${map.name.slice(1)}. ${map.meaning}`;
    $(".mapped", this.node).hidden = false;
    slider.value = kind === "found" ? 50 : 0;
    move();
  }

  showClaims(claims) {
    items($(".claims ul", this.node), claims ?? []);
  }

  showNumbers(result) {
    const [[method, score]] = Object.entries(result.scores);
    $("caption", this.node).textContent = `${method}: ${score.toFixed(2)}; higher means more likely generated`;
    const families = Object.entries(result.per_model[method] ?? {});
    $("tbody", this.node).replaceChildren(
      ...families.map(([family, value]) => {
        const row = document.createElement("tr");
        const name = Object.assign(document.createElement("th"), { scope: "row", textContent: family });
        row.append(name, Object.assign(document.createElement("td"), { className: "n", textContent: value?.toFixed(2) ?? "–" }));
        return row;
      }),
    );
    items($(".notes", this.node), result.notes);
  }

  // A link by which the browser saves what it has already.
  offer(selector, text, type, suffix) {
    const link = $(selector, this.node);
    link.href = this.url(new Blob([text], { type }));
    link.download = `${this.name.replace(/\.[^.]*$/, "")}.${suffix}`;
    link.setAttribute("aria-label", `${link.textContent} of ${this.name}`);
    link.hidden = false;
  }

  url(content) {
    const url = URL.createObjectURL(content);
    this.urls.push(url);
    return url;
  }

  remove() {
    this.removed = true;
    this.request?.abort();
    this.urls.forEach((url) => URL.revokeObjectURL(url));
    this.node.remove();
    announce(`${this.name} is removed.`);
    $("#results-title").focus();
  }
}

// The whole lines of an answer, also while it comes in.
function lines(request) {
  const whole = request.readyState === XMLHttpRequest.DONE ? request.responseText : request.responseText.replace(/[^\n]*$/, "");
  try {
    return whole.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  } catch {
    return [];
  }
}

function enqueue(card) {
  card.state("Waiting for the pictures before it", null);
  waiting.push(card);
  next();
}

async function next() {
  while (busy < AT_ONCE && waiting.length) {
    busy += 1;
    waiting.shift().run().catch((error) => announce(String(error))).finally(() => {
      busy -= 1;
      next();
    });
  }
}

function add(files) {
  const cards = [...files].map((file) => new Card(file));
  if (cards.length) announce(cards.length === 1 ? `${cards[0].name} is sent.` : `${cards.length} pictures are sent.`);
  cards.forEach(enqueue);
}

$("#choose").addEventListener("change", ({ target }) => {
  add(target.files);
  target.value = "";
});
document.addEventListener("paste", (event) => add(event.clipboardData?.files ?? []));
for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(type, (event) => {
    event.preventDefault();
    $("#drop").classList.toggle("over", type === "dragenter" || type === "dragover");
    if (type === "drop") add(event.dataTransfer.files);
  });
}
for (const button of document.querySelectorAll("[data-example]")) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    announce("The example is made.");
    try {
      const answer = await fetch(`examples/${button.dataset.example}.png`);
      if (!answer.ok) throw new Error((await answer.json()).detail);
      add([new File([await answer.blob()], `${button.dataset.example}.png`)]);
    } catch (error) {
      announce(`No example: ${error.message}`);
    }
    button.disabled = false;
  });
}
fetch("health").then(async (answer) => {
  limits = await answer.json();
  $("#limits").textContent =
    `At most ${bytes(limits.max_bytes)} and ${Math.round(limits.max_pixels / 1e6)} megapixels each. ${$("#limits").textContent}`;
}).catch(() => announce("The server does not answer."));
