SwaggerUIBundle({
  url: "openapi.json", dom_id: "#contract", deepLinking: true, displayRequestDuration: true,
  tryItOutEnabled: true, defaultModelsExpandDepth: 0, validatorUrl: null,
});
