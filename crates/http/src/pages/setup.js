// The first sign-in: claims the administrator's account with the printed token.

const base = document.body.dataset.base ?? "";
const form = document.getElementById("setup-form");
const errorLine = document.getElementById("setup-error");

// The token travels in the fragment, which browsers never send to a server.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) {
  form.elements.token.value = token;
  form.elements.token.readOnly = true;
  history.replaceState(null, "", location.pathname);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  showError("");
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    await claim();
  } catch {
    showError("The server could not be reached. Try again.");
  } finally {
    button.disabled = false;
  }
});

async function claim() {
  const fields = Object.fromEntries(new FormData(form));
  if (!fields.full_name) {
    delete fields.full_name;
  }
  const response = await fetch(`${base}/api/v1/auth/setup`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(fields),
  });
  const answer = await response.json();
  if (!response.ok) {
    showProblem(answer);
    return;
  }
  showNextSteps(answer.access_token);
}

function showProblem(problem) {
  for (const input of form.querySelectorAll("input")) {
    input.removeAttribute("aria-invalid");
  }
  const lines = (problem.errors ?? []).map((error) => {
    const name = error.pointer.slice(1);
    form.elements[name]?.setAttribute("aria-invalid", "true");
    return `${name}: ${error.detail}`;
  });
  showError(lines.join(" · ") || problem.detail);
}

function showError(text) {
  errorLine.textContent = text;
  errorLine.hidden = !text;
}

function showNextSteps(accessToken) {
  const server = `${location.origin}${base}`;
  document.getElementById("key-command").textContent = [
    `curl ${server}/api/v1/api-keys \\`,
    `  -H 'Authorization: Bearer ${accessToken}' \\`,
    "  -H 'Content-Type: application/json' \\",
    `  -d '{"name": "my first key", "scopes": ["write"]}'`,
  ].join("\n");
  document.getElementById("model-command").textContent = [
    `curl ${server}/api/v1/models -H "X-API-Key: $KEY" -F file=@model.onnx -F name=my-model`,
    `curl ${server}/api/v1/models/my-model/predict -H "X-API-Key: $KEY" \\`,
    "  -H 'Content-Type: application/json' -d '{\"inputs\": [{\"x0\": 1, \"x1\": 2}]}'",
  ].join("\n");
  document.getElementById("docs-link").href = `${base}/docs`;
  document.getElementById("claim").hidden = true;
  document.getElementById("next").hidden = false;
}
