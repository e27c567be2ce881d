"use strict";
// Folded: of 150 rows and more Swagger UI draws only those in sight, and a browser's search misses the rest.
window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "none",
  tryItOutEnabled: false,
});
