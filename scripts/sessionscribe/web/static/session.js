"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const page = $("session"), text = $("text");
  const name = page.dataset.name, readOnly = "readOnly" in document.body.dataset;
  const api = `/api/s/${encodeURIComponent(name)}`, root = document.body.dataset.root;
  let base = page.dataset.base;
  const player = createPlayer(), { choose } = player, state = player.say;

  const draw = async () => {
    const answer = await fetch(`${root}${api}/peaks`);
    if (answer.ok) player.showPeaks(new Uint8Array(await answer.arrayBuffer()));
    else state("The converted audio is not here: you can read and correct the text, but not listen.", true);
  };

  // Changes: each is saved when it is left. Paragraphs give way to others, and the words after them get other numbers:
  // of thousands mostly one is touched, and the page stays where it is.
  const splice = ({ start, stop, html, shift }) => {
    const parts = [...text.querySelectorAll(".said")], made = document.createElement("template");
    made.innerHTML = html;
    for (const part of shift ? parts.slice(stop) : []) {
      for (const word of part.querySelectorAll("[data-n]")) word.dataset.n = Number(word.dataset.n) + shift;
      for (const end of ["first", "last"]) part.dataset[end] = Number(part.dataset[end]) + shift;
    }
    if (start < parts.length) parts[start].before(made.content);
    else text.append(made.content);
    for (const part of parts.slice(start, stop)) part.remove();
  };
  const send = async (body) => {
    const answer = await post(`${api}/edits`, { base, ...body });
    if (answer.html !== undefined) {
      const number = player.here?.dataset.n;
      base = answer.base;
      splice(answer);
      $("speakers").replaceChildren(...answer.speakers.map((speaker) => Object.assign(document.createElement("option"), { value: speaker })));
      player.index();
      player.draw();
      if (number) choose(text.querySelector(`[data-n="${number}"]`));
      if ($("undo")) $("undo").disabled = !answer.can_undo;
    }
    if (!answer.ok) { state(`Not saved: ${answer.error}`, true); return false; }
    const open = answer.corrections.filter((one) => one.state === "open");
    state(open.length ? `Saved, but ${open.length} correction${open.length > 1 ? "s have" : " has"} no place: ${open[0].reason}` : "Saved. The exports will follow.");
    return true;
  };
  const exports = async () => {
    const answer = await post("/api/run", { sessions: [name], exports: true });
    state(answer.error ?? "The exports are being written.", !answer.ok);
  };
  const edit = (word, next = false) => {
    if (readOnly || !word) return;
    choose(word);
    $("audio").pause();
    const field = document.createElement("input");
    field.value = word.textContent;
    field.size = Math.max(6, word.textContent.length + 2);
    field.setAttribute("aria-label", "The word");
    word.replaceChildren(field);
    field.select();
    let left = false;
    const leave = async (save, on) => {
      if (left) return;
      left = true;
      const value = field.value.trim(), was = field.defaultValue, number = Number(word.dataset.n);
      word.textContent = was;
      if (save && value !== was) {
        word.textContent = value;
        if (!await send({ changes: [{ op: "words", first: number, last: number, text: value }] })) {
          // What was typed is kept, so that it can be put where it belongs.
          word.textContent = was;
          state(`${$("state").textContent} · You typed: ${value}`, true);
        }
      }
      const again = text.querySelector(`[data-n="${number + (on ? 1 : 0)}"]`);
      choose(again);
      if (on) edit(again);
    };
    field.defaultValue = field.value;
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") leave(true, false);
      if (event.key === "Escape") leave(false, false);
      if (event.key === "Tab") { event.preventDefault(); leave(true, true); }
    });
    field.addEventListener("blur", () => leave(true, false));
    field.addEventListener("click", (event) => event.stopPropagation());
  };
  const ask = (what, { was = null, value = "", all = "" }) => new Promise((done) => {
    $("ask-what").textContent = what;
    $("ask-was").hidden = was === null;
    $("ask-was").value = was ?? "";
    $("ask-text").value = value;
    $("ask-all").hidden = !all;
    $("ask-all").querySelector("span").textContent = all;
    $("ask-rename").checked = false;
    $("ask").returnValue = "";
    $("ask").showModal();
    $("ask-text").select();
    $("ask").addEventListener("close", () => done($("ask").returnValue === "save" ? {
      was: $("ask-was").value.trim(), value: $("ask-text").value.trim(), all: $("ask-rename").checked } : null), { once: true });
  });
  const speaker = async (part) => {
    if (readOnly || !part) return;
    const was = part.querySelector(".who").textContent;
    const answer = await ask("Who says this paragraph?", { value: was === "–" ? "" : was, all: was === "–" ? "" : `Rename ${was} everywhere` });
    if (!answer || !answer.value || answer.value === was) return;
    const change = answer.all ? { op: "name", was, text: answer.value }
      : { op: "speaker", first: Number(part.dataset.first), last: Number(part.dataset.last), text: answer.value };
    send({ changes: [change] });
  };
  const undo = () => { if (!readOnly && !$("undo").disabled) send({ undo: true }); };
  $("undo")?.addEventListener("click", undo);
  $("exports")?.addEventListener("click", exports);
  $("everywhere")?.addEventListener("click", async () => {
    const answer = await ask("Replace everywhere in this session", { was: player.here?.textContent ?? "" });
    if (answer?.was && answer.value) send({ changes: [{ op: "everywhere", was: answer.was, text: answer.value }] });
  });
  if ($("undo")) $("undo").disabled = page.dataset.undo !== "true";

  text.addEventListener("click", (event) => {
    if (event.target.closest(".who")) speaker(event.target.closest(".said"));
  });
  text.addEventListener("dblclick", (event) => {
    const word = event.target.closest("[data-n]");
    if (word) { getSelection().removeAllRanges(); edit(word); }
  });

  // Flags: moments that are worth a look.
  const flags = [...document.querySelectorAll("#flags button")];
  let flag = -1;
  const to = (number) => {
    if (!flags.length) return;
    flags[flag]?.classList.remove("now");
    flag = (number + flags.length) % flags.length;
    flags[flag].classList.add("now");
    flags[flag].scrollIntoView({ block: "nearest" });
    const time = Number(flags[flag].dataset.t);
    choose(player.at(time), true);
    player.seek(time - 0.5);
  };
  flags.forEach((button, number) => button.addEventListener("click", () => to(number)));

  Object.assign(player.actions, {
    Enter: () => edit(player.here ?? player.now),
    s: () => speaker((player.here ?? player.now ?? player.at(0))?.closest(".said")),
    n: () => to(flag + 1),
    p: () => to(flag - 1),
    u: undo,
  });
  draw();

  // From a search: the first of the words that were found, playing if the browser allows it.
  const wanted = new URLSearchParams(location.search).get("find"), moment = /^#t=([\d.]+)$/.exec(location.hash)?.[1];
  if (wanted && moment) {
    $("find").value = wanted;
    player.find();
    const found = player.hits.map((range) => range.startContainer.parentElement.closest("[data-t]"));
    const word = found.find((one) => Number(one.closest(".said").dataset.start) === Number(moment)) ?? player.at(Number(moment));
    choose(word, true);
    player.seek(Number(word.dataset.t));
  }
})();
