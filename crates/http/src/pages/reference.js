// The API reference: filter, credential, and the try-it forms.

const base = document.body.dataset.base ?? "";
const filter = document.getElementById("filter");
const credential = document.getElementById("credential");

filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const element of document.querySelectorAll("[data-words]")) {
    element.hidden = !words.every((word) => element.dataset.words.includes(word));
  }
  for (const group of document.querySelectorAll("[data-group]")) {
    group.hidden = !group.querySelector("[data-words]:not([hidden])");
  }
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    filter.focus();
  } else if (event.key === "Escape" && event.target === filter) {
    filter.value = "";
    filter.dispatchEvent(new Event("input"));
  }
});

for (const form of document.querySelectorAll("form.try")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form).catch(() => show(form, "The server could not be reached.", ""));
  });
}

async function send(form) {
  const { method, path } = form.dataset;
  const request = { method: method.toUpperCase(), headers: {} };
  if (credential.value.trim()) {
    request.headers.authorization = `Bearer ${credential.value.trim()}`;
  }
  const body = form.querySelector("textarea");
  if (body?.value.trim()) {
    request.headers["content-type"] = "application/json";
    request.body = body.value;
  }
  const parts = form.querySelectorAll("[data-part]");
  if (parts.length > 0) {
    request.body = formData(parts);
  }
  const started = performance.now();
  const response = await fetch(base + target(form, path), request);
  const text = await response.text();
  const took = (performance.now() - started).toFixed(0);
  show(form, `${response.status} ${response.statusText} · ${took} ms`, pretty(text));
}

function target(form, path) {
  const query = new URLSearchParams();
  let filled = path;
  for (const input of form.querySelectorAll("[data-in]")) {
    if (input.dataset.in === "path") {
      filled = filled.replace(`{${input.name}}`, encodeURIComponent(input.value));
    } else if (input.value !== "") {
      query.set(input.name, input.value);
    }
  }
  return query.size > 0 ? `${filled}?${query}` : filled;
}

function formData(parts) {
  const data = new FormData();
  for (const input of parts) {
    if (input.type === "file") {
      if (input.files.length > 0) {
        data.append(input.name, input.files[0]);
      }
    } else if (input.value !== "") {
      data.append(input.name, input.value);
    }
  }
  return data;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function show(form, status, text) {
  const output = form.querySelector("output");
  output.hidden = false;
  output.querySelector("b").textContent = status;
  output.querySelector("pre").textContent = text;
}
